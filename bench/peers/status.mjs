// GET /status/:jobId on Fastify and Prisma: one query with its relations, and the same JSON as ours.
//
//     NODE_PATH=…/node_modules node status.mjs CLIENT DATABASE_URL MOUNT
//
// Prints the port when it listens.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url) // unlike import, it heeds NODE_PATH
const fastify = require('fastify')()
const { PrismaLibSQL } = require('@prisma/adapter-libsql')

const [client, url, mount] = process.argv.slice(2)
const { PrismaClient } = require(client)
const prisma = new PrismaClient({ adapter: new PrismaLibSQL({ url }, { timestampFormat: 'unixepoch-ms' }) })

// The files of a source without crops and steps: all show the same.
function srcsetOf(variants, urlOf) {
  const byFormat = new Map()
  for (const v of variants) {
    const byWidth = byFormat.get(v.format) ?? byFormat.set(v.format, new Map()).get(v.format)
    if (!byWidth.has(v.width)) byWidth.set(v.width, urlOf(v.key))
  }
  return Object.fromEntries([...byFormat].map(([format, byWidth]) => [
    format, [...byWidth].sort(([a], [b]) => a - b).map(([width, url]) => `${url} ${width}w`).join(', '),
  ]))
}

function published(media) {
  const variants = media.variants.sort((a, b) => a.position - b.position)
  const urlOf = (key) => `${mount}/${encodeURI(key)}`
  return {
    id: media.id,
    sourceType: media.sourceType,
    sourceId: media.sourceId,
    urls: Object.fromEntries(variants.map((v) => [v.name, urlOf(v.key)])),
    srcset: srcsetOf(variants, urlOf),
    originalUrl: media.originalKey && urlOf(media.originalKey),
    width: media.width,
    height: media.height,
    aspectRatio: media.aspectRatio,
    blurhash: media.blurhash,
    dominantColor: media.dominantColor,
    format: media.format,
    bytes: media.bytes,
    hasAlpha: media.hasAlpha,
    frames: media.frames,
    focalPoint: { x: media.focalX, y: media.focalY },
    removed: JSON.parse(media.removed),
    variants: variants.map((v) => ({
      name: v.name, url: urlOf(v.key), format: v.format, width: v.width, height: v.height, bytes: v.bytes,
    })),
    clientReferenceId: media.clientReferenceId,
    createdAt: media.createdAt,
    expiresAt: media.expiresAt,
  }
}

fastify.get(`${mount}/status/:jobId`, async (request, reply) => {
  const job = await prisma.mediagateJob.findUnique({
    where: { id: request.params.jobId },
    include: { media: { include: { variants: true } } },
  })
  if (!job) return reply.code(404).send({ code: 'job_not_found' })
  reply.header('cache-control', 'no-store')
  const timings = JSON.parse(job.timings)
  return {
    jobId: job.id,
    status: job.status,
    media: published(job.media),
    kind: job.kind,
    progress: 100,
    stages: JSON.parse(job.stages).map(({ op, ...stage }) => (op === null ? stage : { op, ...stage })),
    sourceType: job.sourceType,
    sourceId: job.sourceId,
    clientReferenceId: job.clientReferenceId,
    attempts: job.attempts,
    createdAt: job.createdAt,
    startedAt: job.startedAt,
    finishedAt: job.finishedAt,
    queueWaitMs: job.startedAt - job.createdAt,
    timings,
    warnings: JSON.parse(job.warnings),
    credits: { amount: job.credits, charged: job.status === 'COMPLETE' },
    usage: {
      bytesIn: job.bytes,
      bytesOut: job.bytesOut,
      modelRuns: job.modelRuns,
      cpuMs: timings.cpu ?? null,
      wallMs: timings.total ?? null,
    },
  }
})

await fastify.listen({ host: '127.0.0.1', port: 0 })
console.log(fastify.server.address().port)
