'use strict';
// PostgreSQL through Prisma's own driver adapter and a pool of `pg` connections.

const pg = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');

const PRISMA_ONLY = [
  'connection_limit', 'schema', 'pool_timeout', 'pgbouncer', 'connect_timeout', 'socket_timeout', 'statement_cache_size',
];

function openPostgres(address) {
  const url = new URL(address);
  const options = Object.fromEntries(url.searchParams);
  for (const name of PRISMA_ONLY) url.searchParams.delete(name);
  // `pg` would insist on TLS for these two, which ask for none where there is none.
  if (['prefer', 'allow'].includes(options.sslmode)) url.searchParams.delete('sslmode');
  const pool = new pg.Pool({
    connectionString: url.toString(),
    max: Number(options.connection_limit ?? 10),
    connectionTimeoutMillis: 1000 * Number(options.connect_timeout ?? 5),
  });
  // Without a listener, an idle connection that the server closes ends this process.
  pool.on('error', (error) => console.error(`query-engine: idle connection: ${error.message}`));
  return { adapter: new PrismaPg(pool, { schema: options.schema }), close: () => pool.end() };
}

module.exports = { openPostgres };
