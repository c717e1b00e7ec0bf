import { Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { Problem } from '../problem.ts'
import { accountsAndSessions } from './migrations/0001-accounts-and-sessions.ts'
import { revocations } from './migrations/0002-revocations.ts'
import { type PostgresOptions, postgresDialect } from './postgres.ts'
import { listen } from './postgres-listen.ts'
import { type Db, type Dialect, REVOCATIONS_CHANNEL, type Schema } from './schema.ts'
import { isInMemory, sqliteDialect } from './sqlite.ts'

export interface Database {
  readonly db: Db
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
  close(): Promise<void>
}

export interface DatabaseOptions extends PostgresOptions {
  /** `file:` is SQLite, `postgres://` is PostgreSQL. */
  readonly url: string
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
  const db = await openMigrated(dialect, options)
  return {
    db,
    dialect,
    ping: () => ping(db, dialect),
    onRevocations: (wake) =>
      dialect === 'sqlite' ? async () => {} : listen(options, REVOCATIONS_CHANNEL, wake),
    close: () => db.destroy(),
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
async function openMigrated(dialect: Dialect, options: DatabaseOptions): Promise<Db> {
  const patient = connect(dialect, options, MIGRATION_TIMEOUT)
  await migrate(patient, dialect)
  if (dialect === 'sqlite' && isInMemory(options.url)) return patient
  await patient.destroy()
  return connect(dialect, options, QUERY_TIMEOUT)
}

function connect(dialect: Dialect, options: DatabaseOptions, timeout: number): Db {
  return new Kysely<Schema>({
    dialect: dialect === 'sqlite' ? sqliteDialect(options.url, timeout) : postgresDialect(options, timeout),
  })
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
