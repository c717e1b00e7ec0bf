import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely'
import { LRUCache } from 'lru-cache'
import { Problem } from '../problem.ts'

const MEMORY = ':memory:'

// Milliseconds. SQLite's own waiting stops the whole process, so it is short; the rest is waited here.
const BUSY_TIMEOUT = 5
const RETRY_AFTER = 5

const SQLITE_BUSY = 5
const PREPARED_STATEMENTS = 200

/**
 * Kysely's own SQLite dialect over node:sqlite. What was committed is on disk: journal_mode=WAL with
 * synchronous=FULL syncs the log at every commit.
 *
 * @param url `file:` and a path, relative or absolute, or `file::memory:`
 * @param patience milliseconds for which somebody else's lock on the file is waited for
 */
export function sqliteDialect(url: string, patience: number): Dialect {
  const retry = createRetry(patience)
  const database = () => retry(() => open(sqlitePath(url)))
  const dialect = new SqliteDialect({ database })
  return {
    createAdapter: () => new TransactionalAdapter(),
    createDriver: () => new PatientDriver(database, retry),
    createIntrospector: (db) => dialect.createIntrospector(db),
    createQueryCompiler: () => dialect.createQueryCompiler(),
  }
}

/** @returns the path that a `file:` URL names */
export function sqlitePath(url: string): string {
  return url.startsWith('file://') ? fileURLToPath(url) : url.slice('file:'.length)
}

/** @returns whether the URL names a database that goes with its connection */
export function isInMemory(url: string): boolean {
  return sqlitePath(url) === MEMORY
}

// Kysely runs migrations on SQLite outside a transaction. SQLite can do better: a node that is killed while it
// migrates then leaves nothing half done.
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

type Retry = <Result>(work: () => Result | Promise<Result>, wantsLock?: boolean) => Promise<Result>

// Does work again while another connection holds the file, without stopping the process. The patience is one for
// everybody: it counts from the first refusal until work that wants the lock gets it, so that requests in line behind
// each other don't add it up.
function createRetry(patience: number): Retry {
  let refused: { readonly since: number; readonly last: number } | undefined

  return async (work, wantsLock = true) => {
    for (;;) {
      try {
        const result = await work()
        if (wantsLock) refused = undefined
        return result
      } catch (error) {
        if (codeOf(error) !== SQLITE_BUSY) throw error
        const now = performance.now()
        // A refusal long after the last one is the first of another row.
        const since = refused !== undefined && now - refused.last < patience ? refused.since : now
        refused = { since, last: now }
        if (now - since > patience) throw new Problem('database_unavailable', { cause: error })
      }
      await setTimeout(RETRY_AFTER)
    }
  }
}

class PatientDriver extends SqliteDriver {
  readonly #retry: Retry

  constructor(database: () => Promise<SqliteDatabase>, retry: Retry) {
    super({ database })
    this.#retry = retry
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection()
    return {
      // A statement that was refused has done nothing. Inside a transaction none is: `begin` has the lock.
      executeQuery: (query) =>
        this.#retry(() => connection.executeQuery(query), !query.sql.startsWith('select')),
      streamQuery: (query, chunkSize) => connection.streamQuery(query, chunkSize),
    } as DatabaseConnection
  }

  // A transaction here always writes. Taking the lock at once means waiting for it, where a transaction that reads
  // first and then finds the file changed would fail without waiting.
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }
}

function open(path: string): SqliteDatabase {
  return guarded(() => {
    if (path !== MEMORY) makePrivate(path)
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true })
    try {
      database.exec('pragma journal_mode = wal; pragma synchronous = full')
    } catch (error) {
      database.close()
      throw error
    }
    return adapt(database)
  })
}

// SQLite gives its log the mode of the file, which it would leave to the umask.
function makePrivate(path: string): void {
  // By its whole path: with a relative one Node tries for ever in a folder that was deleted.
  mkdirSync(resolve(dirname(path)), { recursive: true, mode: 0o700 })
  closeSync(openSync(path, 'a', 0o600))
}

function adapt(database: DatabaseSync): SqliteDatabase {
  const prepared = new LRUCache<string, SqliteStatement>({ max: PREPARED_STATEMENTS })

  return {
    close: () => database.close(),
    prepare(sql) {
      // Some faults, such as a full disk, have rolled back already: https://sqlite.org/lang_transaction.html, section 3.
      const text = sql === 'rollback' && !database.isTransaction ? 'select null' : sql
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

// https://sqlite.org/rescode.html: the primary result codes that speak of the file, not of the query.
const unavailable = new Set([
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
    // A failed system call is the data folder's.
    if (unavailable.has(codeOf(cause)) || (cause as NodeJS.ErrnoException).syscall !== undefined) {
      throw new Problem('database_unavailable', { cause })
    }
    throw cause
  }
}

// The low byte of an extended code is its primary one.
function codeOf(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
}
