'use strict';
// A Prisma 5.17 driver adapter over Node's own node:sqlite (Node >= 22.16), so that no native npm module is needed.
// One connection writes, in turns; another reads, so that reads never wait for an open transaction (WAL).

const { DatabaseSync } = require('node:sqlite');
const { ColumnTypeEnum: Type, ok, err } = require('@prisma/driver-adapter-utils');
const { Turns, whenFree } = require('./turns');

const DECLARED = {
  BIGINT: Type.Int64, BLOB: Type.Bytes, BOOLEAN: Type.Boolean, DATETIME: Type.DateTime, DECIMAL: Type.Numeric,
  DOUBLE: Type.Double, INT: Type.Int32, INTEGER: Type.Int32, REAL: Type.Double, TEXT: Type.Text,
};
const OPENING_MS = 5000;
const STATEMENTS = 300;
/** SQLite accepts 32,766, and the engine does not count all; its default would split a read of a thousand jobs. */
const MOST_VALUES = 30000;

/** The type of a column from its declaration, else (an expression) from its first value. */
function columnType(column, rows, at) {
  const declared = DECLARED[column.type?.toUpperCase().replace(/\(.*/, '')];
  if (declared !== undefined) return declared;
  const value = rows.find((row) => row[at] !== null)?.[at];
  if (typeof value === 'bigint') return Type.Int64;
  if (typeof value === 'number') return Type.UnknownNumber;
  if (typeof value === 'string') return Type.Text;
  return value instanceof Uint8Array ? Type.Bytes : Type.Int32;
}

function toPrisma(value, type) {
  if (typeof value === 'bigint') {
    if (type === Type.DateTime) return new Date(Number(value)).toISOString();
    return type === Type.Int64 ? value.toString() : Number(value);
  }
  if (value instanceof Uint8Array) return Array.from(value);
  return value;
}

class Connection {
  constructor(file, readOnly) {
    this.database = new DatabaseSync(file, { readOnly, timeout: OPENING_MS });
    // SQLite waits for a lock by blocking the whole process, including reads; writes wait in turns.js instead.
    if (!readOnly) this.database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 0');
    this.database.exec('PRAGMA foreign_keys = ON');
    this.statements = new Map();
  }

  prepared(sql) {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      if (this.statements.size >= STATEMENTS) this.statements.delete(this.statements.keys().next().value);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  run({ sql, args }, action) {
    try {
      return ok(action(this.prepared(sql), args.map((value) => (typeof value === 'boolean' ? Number(value) : value))));
    } catch (error) {
      if (typeof error.errcode !== 'number') throw error;
      return err({ kind: 'Sqlite', extendedCode: error.errcode, message: error.message });
    }
  }

  query(query) {
    return this.run(query, (statement, args) => {
      const rows = statement.all(...args);
      const columns = statement.columns();
      const columnTypes = columns.map((column, at) => columnType(column, rows, at));
      return {
        columnNames: columns.map((column) => column.name),
        columnTypes,
        rows: rows.map((row) => row.map((value, at) => toPrisma(value, columnTypes[at]))),
      };
    });
  }

  execute(query) {
    return this.run(query, (statement, args) => Number(statement.run(...args).changes));
  }
}

const KIND = { provider: 'sqlite', adapterName: 'node-sqlite' };

function openSqlite(file) {
  const writer = new Connection(file, false);
  const reader = new Connection(file, true);
  const turns = new Turns();

  async function alone(action) {
    const { release, until } = await turns.take();
    try {
      return await whenFree(action, until);
    } finally {
      release();
    }
  }

  async function startTransaction() {
    const { release, until } = await turns.take();
    let begun;
    try {
      begun = await whenFree(() => writer.execute({ sql: 'BEGIN IMMEDIATE', args: [] }), until);
    } finally {
      if (!begun?.ok) release();
    }
    if (!begun.ok) return begun;
    const end = (sql) => async () => {
      try {
        writer.database.exec(sql);
      } finally {
        // A failed COMMIT (disk full) leaves the transaction open, so that no other could begin.
        if (writer.database.isTransaction) writer.database.exec('ROLLBACK');
        release();
      }
      return ok(undefined);
    };
    return ok({
      ...KIND,
      options: { usePhantomQuery: true },
      queryRaw: async (query) => writer.query(query),
      executeRaw: async (query) => writer.execute(query),
      commit: end('COMMIT'),
      rollback: end('ROLLBACK'),
    });
  }

  const adapter = {
    ...KIND,
    getConnectionInfo: () => ok({ maxBindValues: MOST_VALUES }),
    queryRaw: async (query) => (/^\s*SELECT/i.test(query.sql) ? reader.query(query) : alone(() => writer.query(query))),
    executeRaw: (query) => alone(() => writer.execute(query)),
    startTransaction,
  };
  return {
    adapter,
    close: async () => {
      reader.database.close();
      writer.database.close();
    },
  };
}

module.exports = { openSqlite };
