// Fastify with @fastify/multipart: the file of an upload goes to disk as its documentation shows, and away again.
//
//     NODE_PATH=…/node_modules node ingest.mjs FOLDER
//
// Prints the port when it listens.

import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'

const require = createRequire(import.meta.url) // unlike import, it heeds NODE_PATH
const folder = process.argv[2]
const fastify = require('fastify')()
fastify.register(require('@fastify/multipart'), { limits: { fileSize: 32 * 1024 * 1024 } })

fastify.post('/upload', async function (request, reply) {
  const fields = {}
  let bytes = 0
  for await (const part of request.parts()) {
    if (part.type === 'file') {
      const spooled = path.join(folder, randomUUID())
      await pipeline(part.file, fs.createWriteStream(spooled))
      bytes = part.file.bytesRead
      await fs.promises.unlink(spooled)
    } else {
      fields[part.fieldname] = part.value
    }
  }
  return { bytes, fields }
})

await fastify.listen({ host: '127.0.0.1', port: 0 })
console.log(fastify.server.address().port)
