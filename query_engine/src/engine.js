'use strict';
// Prisma's query engine 5.17.0, compiled to WebAssembly, over a driver adapter for the database of the schema.

const fs = require('node:fs');
const path = require('node:path');
const { createRequire } = require('node:module');
const { bindAdapter } = require('@prisma/driver-adapter-utils');
const { translate, untag } = require('./protocol');

const TRACE = '{"traceparent":"00-10-10-00"}';
const DRIVER_THREW = 'P2036';
const UNREACHABLE = 'P1001';
/** Node's codes, then PostgreSQL's for shutdown, startup, too many connections, lost connection (its appendix A). */
const UNREACHABLE_CODES = /^(ECONNREFUSED|ENOTFOUND|ETIMEDOUT|ECONNRESET|EPIPE|ENOENT|57P0[1-4]|53300|08\w{3})$/;
const SERVER_AWAY = /PostgresError \{ code: "(57P0[1-4]|53300|08\w{3})", message: "([^"]*)"/;

/** Load the engine's WebAssembly and its glue, which are stored next to the bundle, one pair for each provider. */
function instantiate(provider) {
  const glue = createRequire(__filename)(path.join(__dirname, `query_engine_bg.${provider}.cjs`));
  const module = new WebAssembly.Module(fs.readFileSync(path.join(__dirname, `query_engine_bg.${provider}.wasm`)));
  glue.__wbg_set_wasm(new WebAssembly.Instance(module, { './query_engine_bg.js': glue }).exports);
  return glue.QueryEngine;
}

function openDatabase(schema) {
  if (schema.provider === 'sqlite') return require('./sqlite').openSqlite(schema.file);
  return require('./postgres').openPostgres(schema.url);
}

async function openEngine(schema) {
  const database = openDatabase(schema);
  const adapter = bindAdapter(database.adapter);
  const QueryEngine = instantiate(schema.provider);
  const engine = new QueryEngine(
    {
      datamodel: schema.text,
      env: {},
      datasourceOverrides: {},
      ignoreEnvVarErrors: true,
      logQueries: false,
      logLevel: 'error',
      configDir: '.',
      engineProtocol: 'json',
    },
    (line) => console.error(line),
    adapter,
  );
  await engine.connect(TRACE);

  /** Add the driver's message to an error of which the engine only reports that the driver threw. */
  function explained(error) {
    const facing = error.user_facing_error ?? error;
    const away = SERVER_AWAY.exec(facing.message);
    if (away) {
      facing.message = `PostgreSQL ${away[1]}: ${away[2]}`;
      facing.error_code = UNREACHABLE;
    }
    if (facing.error_code !== DRIVER_THREW) return error;
    const thrown = adapter.errorRegistry.consumeError(facing.meta?.id)?.error;
    if (!thrown) return error;
    facing.message = `Database driver error: ${thrown.message || thrown.code || thrown}`;
    facing.meta = { driver_code: thrown.code };
    if (UNREACHABLE_CODES.test(thrown.code) || /Connection terminated|timeout/.test(thrown.message)) {
      facing.error_code = UNREACHABLE;
    }
    return error;
  }

  function reply(json, alias) {
    if (json.startsWith('{"data":{"')) return `{"data":{"${alias}":${untag(json.slice(json.indexOf(':', 9) + 1))}`;
    const body = JSON.parse(json);
    body.errors?.forEach(explained);
    return JSON.stringify(body);
  }

  function transactionReply(json) {
    const body = JSON.parse(json);
    if (!body.error_code && !body.message) return json;
    explained(body);
    return JSON.stringify({ errors: [{ error: body.message, user_facing_error: body }] });
  }

  return {
    async query(text, transaction) {
      const { alias, json } = translate(text, schema.models);
      return reply(await engine.query(json, TRACE, transaction), alias);
    },

    async batch(texts, atomic, transaction) {
      const queries = texts.map((text) => translate(text, schema.models).json);
      const body = `{"batch":[${queries.join()}],"transaction":${atomic ? '{"isolationLevel":null}' : 'null'}}`;
      const result = JSON.parse(await engine.query(body, TRACE, transaction));
      const failed = result.errors ? result : result.batchResult.find((part) => part.errors);
      if (failed) return JSON.stringify({ errors: failed.errors.map(explained) });
      return untag(JSON.stringify(result));
    },

    async start({ max_wait = 2000, timeout = 5000, isolation_level }) {
      return transactionReply(await engine.startTransaction(JSON.stringify({ max_wait, timeout, isolation_level }), TRACE));
    },

    async commit(id) {
      return transactionReply(await engine.commitTransaction(id, TRACE));
    },

    async rollback(id) {
      return transactionReply(await engine.rollbackTransaction(id, TRACE));
    },

    async close() {
      await engine.disconnect(TRACE).catch(() => {});
      await database.close();
    },
  };
}

module.exports = { openEngine };
