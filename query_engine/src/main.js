#!/usr/bin/env node
'use strict';
// The HTTP interface of Prisma's native query engine, as used by the Python client, around the engine in WebAssembly.
// Listens on the Unix socket MEDIAGATE_ENGINE_SOCKET, else on the loopback port given by -p.

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { openEngine } = require('./engine');
const { loadSchema } = require('./schema');

const COMMIT = '393aa359c9ad4a4bb28630fb5613f9c281cde053';
const VERSION = '5.17.0';
const CLOSE_WITHIN_MS = 1500;
const LOOK_FOR_PARENT_MS = 500;

function portArgument() {
  const at = process.argv.findIndex((word) => word === '-p' || word === '--port');
  return at < 0 ? 4466 : Number(process.argv[at + 1]);
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => resolve(Buffer.concat(chunks).toString()));
    request.on('error', reject);
  });
}

async function answer(engine, request) {
  const { method, url } = request;
  const transaction = request.headers['x-transaction-id'];
  if (method === 'GET') {
    if (url === '/status') return '{"status":"ok"}';
    if (url === '/server_info') return JSON.stringify({ commit: COMMIT, version: VERSION });
    return null;
  }
  const body = await readBody(request);
  if (url === '/') {
    const query = JSON.parse(body);
    if (query.batch) return engine.batch(query.batch.map((part) => part.query), query.transaction, transaction);
    return engine.query(query.query, transaction);
  }
  if (url === '/transaction/start') return engine.start(JSON.parse(body));
  const ends = /^\/transaction\/([\w-]+)\/(commit|rollback)$/.exec(url);
  return ends ? engine[ends[2]](ends[1]) : null;
}

function errorBody(error) {
  const message = String(error?.message ?? error);
  const code = error?.badRequest ? 'P2009' : error?.code;
  return JSON.stringify({
    errors: [{ error: message, user_facing_error: { is_panic: false, message, meta: {}, error_code: code } }],
  });
}

async function main() {
  if (process.argv.includes('--version')) {
    process.stdout.write(`query-engine ${COMMIT}\n`);
    return;
  }
  const engine = await openEngine(loadSchema(process.env));

  const server = http.createServer(async (request, response) => {
    let text;
    let broken = false;
    try {
      text = await answer(engine, request);
    } catch (error) {
      text = errorBody(error);
      broken = error instanceof WebAssembly.RuntimeError;
    }
    const body = Buffer.from(text ?? '{}');
    response.writeHead(text === null ? 404 : 200, {
      'content-type': 'application/json',
      'content-length': body.length,
    });
    response.end(body);
    // A panic leaves the WebAssembly instance unusable; the parent process starts a new one.
    if (broken) stop(70);
  });
  // Only the client closes idle connections: otherwise a query could be sent on a connection that is being closed.
  server.keepAliveTimeout = 0;
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.timeout = 0;

  let stopping = false;
  async function stop(code) {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(code), CLOSE_WITHIN_MS).unref();
    server.close();
    await engine.close().catch(() => {});
    process.exit(code);
  }
  process.on('SIGTERM', () => stop(0));
  process.on('SIGINT', () => stop(0));

  server.on('error', (error) => {
    console.error(`query-engine: ${error.message}`);
    process.exit(1);
  });
  const socket = process.env.MEDIAGATE_ENGINE_SOCKET;
  if (!socket) {
    server.listen(portArgument(), '127.0.0.1');
    return;
  }
  server.listen(socket);
  // On a socket this process belongs to its parent. A changed parent, perhaps changed before this line runs, means that
  // it was killed: clean up for it.
  const parent = Number(process.env.MEDIAGATE_ENGINE_PARENT);
  setInterval(() => {
    if (process.ppid === parent) return;
    process.once('exit', () => fs.rmSync(path.dirname(socket), { recursive: true, force: true }));
    stop(0);
  }, LOOK_FOR_PARENT_MS).unref();
}

main().catch((error) => {
  console.error(`query-engine: ${error?.message ?? error}`);
  process.exit(1);
});
