import { Kysely, type Dialect as KyselyDialect, type LogEvent, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { Problem } from '../problem.ts'
import { accountsAndSessions } from './migrations/0001-accounts-and-sessions.ts'
import { revocations } from './migrations/0002-revocations.ts'
import { auditAndAttempts } from './migrations/0003-audit-and-attempts.ts'
import { type PoolUse, type PostgresOptions, postgresDialect } from './postgres.ts'
import { listen } from './postgres-listen.ts'
import { type Db, type Dialect, REVOCATIONS_CHANNEL, type Schema } from './schema.ts'
import { isInMemory, sqliteDialect } from './sqlite.ts'

export interface Database {
  readonly db: Db
  /**
   * The same, by a connection that is kept for what must not wait behind requests. SQLite has one connection, on which
   * nothing waits for somebody else's answer.
   */
  readonly reserved: Db
  /** @throws Problem database_unavailable if it doesn't answer, or takes no writes */
  ping(): Promise<void>
  /**
   * Calls back at every commit that wrote revocations, and whenever some may have been missed. PostgreSQL tells; SQLite
   * never does, so there it does nothing.
   *
   * @returns a function that stops it
   */
  onRevocations(wake: () => void): () => Promise<void>
  readonly dialect: Dialect
  /** What the connections are at; undefined on SQLite, which has one. */
  readonly poolUse: (() => PoolUse) | undefined
  close(): Promise<void>
}

export interface DatabaseOptions extends PostgresOptions {
  /** `file:` is SQLite, `postgres://` is PostgreSQL. */
  readonly url: string
  /** Told of each statement when it has ended, in the asynchronous context of whoever sent it. */
  readonly onStatement?: ((statement: Statement) => void) | undefined
}

/** What was sent to the database. */
export interface Statement {
  readonly dialect: Dialect
  /** With placeholders where the values stand. */
  readonly sql: string
  /** How long it took, in milliseconds. */
  readonly duration: number
  /** Why it failed, if it did. */
  readonly error: unknown
}

// As long as a node that starts waits for one that migrates.
const MIGRATION_TIMEOUT = 60_000
// Waits add up: with the pool's it stays under the 2 s in which a client hears that the database is gone.
const QUERY_TIMEOUT = 1_000

/** @returns which database a DATABASE_URL names */
export function dialectOf(url: string): Dialect {
  return url.startsWith('file:') ? 'sqlite' : 'postgres'
}

/**
 * Opens a database and brings it up to date.
 *
 * @returns the database with every migration applied
 * @throws Problem database_unavailable if it can't be reached or opened
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const dialect = dialectOf(options.url)
  const { db, poolUse } = await openMigrated(dialect, options)
  const reserved = dialect === 'sqlite' ? db : connect(dialect, { ...options, poolSize: 1 }, QUERY_TIMEOUT).db
  return {
    db,
    reserved,
    dialect,
    poolUse,
    ping: () => ping(db, dialect),
    onRevocations: (wake) =>
      dialect === 'sqlite' ? async () => {} : listen(options, REVOCATIONS_CHANNEL, wake),
    async close() {
      await Promise.all([...new Set([db, reserved])].map((each) => each.destroy()))
    },
  }
}

// PostgreSQL may be there and take no writes, as after a fail-over. On SQLite every transaction begins by locking the
// file for writing.
async function ping(db: Db, dialect: Dialect): Promise<void> {
  await db.transaction().execute(async (tx) => {
    if (dialect === 'sqlite') return
    const { rows } = await sql<{ read_only: string }>`
      select current_setting('transaction_read_only') as read_only
    `.execute(tx)
    if (rows[0]?.read_only === 'on') {
      throw new Problem('database_unavailable', { cause: new Error('it is read-only') })
    }
  })
}

// Migrating has time, serving has not, so each gets its own connections.
async function openMigrated(dialect: Dialect, options: DatabaseOptions): Promise<Connected> {
  const patient = connect(dialect, options, MIGRATION_TIMEOUT)
  await migrate(patient.db, dialect)
  if (dialect === 'sqlite' && isInMemory(options.url)) return patient
  await patient.db.destroy()
  return connect(dialect, options, QUERY_TIMEOUT)
}

type Connected = Pick<Database, 'db' | 'poolUse'>

function connect(dialect: Dialect, options: DatabaseOptions, timeout: number): Connected {
  if (dialect === 'sqlite') {
    const db = kyselyOver(sqliteDialect(options.url, timeout), dialect, options)
    return { db, poolUse: undefined }
  }
  const postgres = postgresDialect(options, timeout)
  return { db: kyselyOver(postgres, dialect, options), poolUse: postgres.use }
}

function kyselyOver(
  kyselyDialect: KyselyDialect,
  dialect: Dialect,
  { onStatement }: Pick<DatabaseOptions, 'onStatement'>,
): Db {
  return new Kysely<Schema>({
    dialect: kyselyDialect,
    ...(onStatement && { log: (event) => onStatement(statementOf(dialect, event)) }),
  })
}

function statementOf(dialect: Dialect, event: LogEvent): Statement {
  const { sql } = event.query
  const error = event.level === 'error' ? event.error : undefined
  return { dialect, sql, duration: event.queryDurationMillis, error }
}

// Kysely's Migrator takes an advisory lock on PostgreSQL; on SQLite every transaction here begins by locking the
// file. So of several nodes that start at once one migrates, and the others find it done.
async function migrate(db: Db, dialect: Dialect): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () => ({
        '0001-accounts-and-sessions': accountsAndSessions(dialect),
        '0002-revocations': revocations(dialect),
        '0003-audit-and-attempts': auditAndAttempts(dialect),
      }),
    },
    migrationTableName: 'latchkey_migrations',
    migrationLockTableName: 'latchkey_migrations_lock',
  })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return
  await db.destroy()
  throw error
}
