'use strict';
// PostgreSQL through Prisma's own driver adapter and a pool of `pg` connections with time limits.

const pg = require('pg');
const { PrismaPg } = require('@prisma/adapter-pg');

const PRISMA_ONLY = [
  'connection_limit', 'schema', 'pool_timeout', 'pgbouncer', 'connect_timeout', 'socket_timeout', 'statement_cache_size',
];
const TIMED_OUT = 'Query read timeout';
const CONNECTIONS = 5;
const CONNECT_S = 5;
const ANSWER_S = 10;

/** A connection that is closed after a timeout: a late answer on it would be taken for that of the next query. */
class BoundedClient extends pg.Client {
  constructor(options) {
    super(options);
    // Without a listener, a connection that ends inside a transaction ends this process; the query reports the error.
    this.on('error', () => {});
  }

  query(...words) {
    const last = words.at(-1);
    if (typeof last === 'function') {
      words[words.length - 1] = (error, result) => {
        this.#closeAfter(error);
        last(error, result);
      };
      return super.query(...words);
    }
    const answer = super.query(...words);
    answer?.catch?.((error) => this.#closeAfter(error));
    return answer;
  }

  #closeAfter(error) {
    if (error?.message === TIMED_OUT) this.connection.stream.destroy();
  }
}

function seconds(option, otherwise) {
  return 1000 * Number(option ?? otherwise);
}

function openPostgres(address) {
  // A server on a socket has a user and no host; the option `host` names the socket's folder.
  const url = new URL(address.replace('@/', '@localhost/'));
  const options = Object.fromEntries(url.searchParams);
  for (const name of PRISMA_ONLY) url.searchParams.delete(name);
  // `pg` would require TLS for these two modes, which allow connections without it.
  if (['prefer', 'allow'].includes(options.sslmode)) url.searchParams.delete('sslmode');
  const pool = new pg.Pool({
    Client: BoundedClient,
    connectionString: url.toString(),
    max: Number(options.connection_limit ?? CONNECTIONS),
    connectionTimeoutMillis: seconds(options.connect_timeout, CONNECT_S),
    // Not by PostgreSQL's statement_timeout: the server may itself be stopped, or behind a PgBouncer that refuses it.
    query_timeout: seconds(options.socket_timeout, ANSWER_S),
    keepAlive: true,
  });
  // Without a listener, an idle connection that the server closes ends this process.
  pool.on('error', (error) => console.error(`query-engine: idle connection: ${error.message}`));
  return { adapter: new PrismaPg(pool, { schema: options.schema }), close: () => pool.end() };
}

module.exports = { openPostgres };
