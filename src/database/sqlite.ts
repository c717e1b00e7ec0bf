import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Dialect, SqliteAdapter, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'
import { LRUCache } from 'lru-cache'
import { Problem } from '../problem.ts'

const MEMORY = ':memory:'
// Milliseconds.
const BUSY_TIMEOUT = 1_000
const RETRY_AFTER = 10

const SQLITE_BUSY = 5
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

async function open(path: string): Promise<SqliteDatabase> {
  const database = guarded(() => {
    if (path !== MEMORY) makePrivate(path)
    return new DatabaseSync(path, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true })
  })
  await switchToWal(database)
  guarded(() => database.exec('pragma synchronous = full'))
  return adapt(database)
}

// The switch needs the file for itself and is refused at once where anything else would wait for the busy time-out:
// of two nodes that start on a new file, one has to try again.
async function switchToWal(database: DatabaseSync): Promise<void> {
  const deadline = Date.now() + BUSY_TIMEOUT
  for (;;) {
    try {
      database.exec('pragma journal_mode = wal')
      return
    } catch (cause) {
      if ((cause as { errcode?: number }).errcode !== SQLITE_BUSY || Date.now() > deadline) {
        database.close()
        raise(cause)
      }
      await setTimeout(RETRY_AFTER)
    }
  }
}

// SQLite gives its log the mode of the file, which it would leave to the umask.
function makePrivate(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
}

function adapt(database: DatabaseSync): SqliteDatabase {
  const prepared = new LRUCache<string, SqliteStatement>({ max: PREPARED_STATEMENTS })

  // What Kysely asks for, as it has to be said.
  function textOf(sql: string): string {
    // A transaction here always writes. Taking the lock at once means waiting for it (busy_timeout), where a
    // transaction that reads first and then finds the file changed would fail without waiting.
    if (sql === 'begin') return 'begin immediate'
    // Some faults, such as a full disk, have rolled back already: https://sqlite.org/lang_transaction.html, section 3.
    if (sql === 'rollback' && !database.isTransaction) return 'select null'
    return sql
  }

  return {
    close: () => database.close(),
    prepare(sql) {
      const text = textOf(sql)
      let statement = prepared.get(text)
      if (statement === undefined) {
        statement = guarded(() => adaptStatement(database.prepare(text)))
        prepared.set(text, statement)
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
  SQLITE_BUSY,
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
    return raise(cause)
  }
}

function raise(cause: unknown): never {
  const { errcode, syscall } = cause as { errcode?: number; syscall?: string }
  // The low byte of an extended code is its primary one. A failed system call is the data folder's.
  if (unavailable.has((errcode ?? 0) & 0xff) || syscall !== undefined) {
    throw new Problem('database_unavailable', { cause })
  }
  throw cause
}
