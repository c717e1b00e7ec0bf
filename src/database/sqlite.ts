import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { type Dialect, SqliteAdapter, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'
import { LRUCache } from 'lru-cache'
import { Problem } from '../problem.ts'

const MEMORY = ':memory:'
const BUSY_TIMEOUT = 1_000
const PREPARED_STATEMENTS = 200

/**
 * Kysely's own SQLite dialect over node:sqlite. What was committed is on disk: journal_mode=WAL with
 * synchronous=FULL syncs the log at every commit.
 *
 * @param url `file:` and a path, relative or absolute, or `file::memory:`
 */
export function sqliteDialect(url: string): Dialect {
  return new TransactionalSqliteDialect({ database: async () => open(sqlitePath(url)) })
}

// Kysely runs migrations on SQLite outside a transaction. SQLite can do better: a node that is killed while it
// migrates then leaves nothing half done.
class TransactionalSqliteDialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new (class extends SqliteAdapter {
      override get supportsTransactionalDdl(): boolean {
        return true
      }
    })()
  }
}

/** @returns the path that a `file:` URL names */
export function sqlitePath(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length)
}

function open(path: string): SqliteDatabase {
  return guarded(() => {
    if (path !== MEMORY) makePrivate(path)
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true })
    database.exec('pragma journal_mode = wal; pragma synchronous = full')
    return adapt(database)
  })
}

// SQLite gives its log the mode of the file, which it would leave to the umask.
function makePrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
}

function adapt(database: DatabaseSync): SqliteDatabase {
  const prepared = new LRUCache<string, SqliteStatement>({ max: PREPARED_STATEMENTS })

  return {
    close: () => database.close(),
    prepare(sql) {
      let statement = prepared.get(sql)
      if (statement === undefined) {
        // A transaction here always writes. Taking the lock at once means waiting for it (busy_timeout), where a
        // transaction that reads first and then finds the file changed would fail without waiting.
        const text = sql === 'begin' ? 'begin immediate' : sql
        statement = guarded(() => adaptStatement(database.prepare(text)))
        prepared.set(sql, statement)
      }
      return statement
    },
  }
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => guarded(() => statement.all(...(parameters as SQLInputValue[]))),
    run: (parameters) => guarded(() => statement.run(...(parameters as SQLInputValue[]))),
    iterate: (parameters) => statement.iterate(...(parameters as SQLInputValue[])),
  }
}

// https://sqlite.org/rescode.html: the primary result codes that speak of the file or of its lock, not of the query.
const unavailable = new Set([
  5, // SQLITE_BUSY
  6, // SQLITE_LOCKED
  8, // SQLITE_READONLY
  10, // SQLITE_IOERR
  11, // SQLITE_CORRUPT
  13, // SQLITE_FULL
  14, // SQLITE_CANTOPEN
  26, // SQLITE_NOTADB
])

function guarded<Result>(work: () => Result): Result {
  try {
    return work()
  } catch (cause) {
    const { errcode, syscall } = cause as { errcode?: number; syscall?: string }
    // The low byte of an extended code is its primary one. A failed system call is the data folder's.
    if (unavailable.has((errcode ?? 0) & 0xff) || syscall !== undefined) {
      throw new Problem('database_unavailable', { cause })
    }
    throw cause
  }
}
