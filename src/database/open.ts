import { Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { accountsAndSessions } from './migrations/0001-accounts-and-sessions.ts'
import { type PostgresOptions, postgresDialect } from './postgres.ts'
import type { Db, Dialect, Schema } from './schema.ts'
import { sqliteDialect } from './sqlite.ts'

export interface Database {
  readonly db: Db
  readonly dialect: Dialect
  /** @throws Problem database_unavailable */
  ping(): Promise<void>
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

/**
 * Opens a database and brings it up to date.
 *
 * @returns the database with every migration applied
 * @throws Problem database_unavailable if it can't be reached or opened
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const dialect = options.url.startsWith('file:') ? 'sqlite' : 'postgres'
  const db = dialect === 'sqlite' ? await openSqlite(options) : await openPostgres(options)
  return {
    db,
    dialect,
    ping: async () => {
      await sql`select 1`.execute(db)
    },
    close: () => db.destroy(),
  }
}

async function openSqlite({ url }: DatabaseOptions): Promise<Db> {
  const db: Db = new Kysely<Schema>({ dialect: sqliteDialect(url) })
  await migrate(db, 'sqlite')
  return db
}

// Migrating has time, serving has not, so each gets its own pool.
async function openPostgres(options: DatabaseOptions): Promise<Db> {
  const patient: Db = new Kysely<Schema>({ dialect: postgresDialect(options, MIGRATION_TIMEOUT) })
  await migrate(patient, 'postgres')
  await patient.destroy()
  return new Kysely<Schema>({ dialect: postgresDialect(options, QUERY_TIMEOUT) })
}

// Kysely's Migrator takes an advisory lock on PostgreSQL; on SQLite every transaction here begins by locking the
// file. So of several nodes that start at once one migrates, and the others find it done.
async function migrate(db: Db, dialect: Dialect): Promise<void> {
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () => ({ '0001-accounts-and-sessions': accountsAndSessions(dialect) }),
    },
    migrationTableName: 'latchkey_migrations',
    migrationLockTableName: 'latchkey_migrations_lock',
  })
  const { error } = await migrator.migrateToLatest()
  if (error === undefined) return
  await db.destroy()
  throw error
}
