import { hash } from 'node:crypto'
import { type Dialect, PostgresDialect, type PostgresPoolClient } from 'kysely'
import pg from 'pg'
import { Problem } from '../problem.ts'

const ACQUIRE_TIMEOUT = 800
const INT8 = 20
/** A statement with a list in it has as many texts as the list has lengths: past this many they go unprepared. */
const PREPARED_STATEMENTS = 200
/**
 * Why a statement can't be sent as prepared. "Cached plan must not change result type": another node has migrated. And a
 * pooler that keeps no prepared statements gives other connections than the one it was prepared on, where it is missing or
 * there already.
 */
const UNPREPARED = new Set<string | undefined>(['0A000', '26000', '42P05'])

export interface PostgresOptions {
  readonly url: string
  /** Connections at most. */
  readonly poolSize: number
  /** Told of a connection that broke while nobody used it. */
  readonly onIdleError: (error: Error) => void
}

/** What a pool of connections is at. */
export interface PoolUse {
  /** How many it may have. */
  readonly size: number
  /** How many there are, and how many of them nobody uses. */
  readonly total: number
  readonly idle: number
  /** How many wait for one. */
  readonly waiting: number
  /** How often none could be had, not in time or not at all. */
  readonly failures: number
}

/**
 * Kysely's own PostgreSQL dialect over a pg pool with bounded waits.
 *
 * @param queryTimeout milliseconds that one query may take
 */
export function postgresDialect(
  { url, poolSize, onIdleError }: PostgresOptions,
  queryTimeout: number,
): Dialect & { readonly use: () => PoolUse } {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'latchkey',
    max: poolSize,
    connectionTimeoutMillis: ACQUIRE_TIMEOUT,
    query_timeout: queryTimeout,
    statement_timeout: queryTimeout,
    idle_in_transaction_session_timeout: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    types: {
      // Milliseconds since 1970 are well within a safe integer.
      getTypeParser: ((oid: number, format: 'text') =>
        oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
    },
  })
  // pg hangs its whole client on the error, which is nothing for a log.
  pool.on('error', (error) => onIdleError(Object.assign(error, { client: undefined })))
  // Of a connection that breaks while it is in use the query hears, or the next one. Without a listener of its own the
  // client's error would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  let failures = 0
  const dialect = new PostgresDialect({
    pool: {
      connect: async () => {
        try {
          return adapt(await pool.connect())
        } catch (error) {
          failures++
          return unavailable(error)
        }
      },
      end: () => pool.end(),
      options: pool.options,
    },
  })
  const use = () => ({
    size: poolSize,
    total: pool.totalCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
    failures,
  })
  return Object.assign(dialect, { use })
}

const adapted = new WeakMap<pg.PoolClient, PostgresPoolClient>()

// Kysely knows a connection by its object, so each client is wrapped once.
function adapt(client: pg.PoolClient): PostgresPoolClient {
  let wrapped = adapted.get(client)
  if (wrapped === undefined) {
    wrapped = wrap(client)
    adapted.set(client, wrapped)
  }
  return wrapped
}

function wrap(client: pg.PoolClient): PostgresPoolClient {
  let broken = false
  let prepares = true

  // A statement that is prepared is parsed and planned once for each connection, and not each time.
  async function send(text: string, values: unknown[]): Promise<pg.QueryResult> {
    const name = prepares && values.length > 0 ? nameOf(text) : undefined
    if (name === undefined) return client.query(text, values)
    try {
      return await client.query({ name, text, values })
    } catch (error) {
      if (!UNPREPARED.has((error as pg.DatabaseError).code)) throw error
      // Within a transaction this fails as well.
      prepares = false
      return client.query(text, values)
    }
  }

  return {
    query: (async (text: string, parameters: unknown[]) => {
      // So that a rollback doesn't wait for what has failed already.
      if (broken) return unavailable(new Error('the connection is broken'))
      try {
        return await send(text, parameters)
      } catch (error) {
        broken ||= isUnavailable(error)
        return fail(error)
      }
    }) as unknown as PostgresPoolClient['query'],
    // A connection that stopped answering still has its query under way: it must not be handed to the next one.
    release: (discard) => client.release(discard === true || broken),
  }
}

const names = new Map<string, string>()

// By its text: where a pooler mixes up connections, a name must not be another statement of another node's.
function nameOf(text: string): string | undefined {
  let name = names.get(text)
  if (name === undefined && names.size < PREPARED_STATEMENTS) {
    name = `latchkey_${hash('sha256', text).slice(0, 32)}`
    names.set(text, name)
  }
  return name
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html: classes and codes that speak of the server or of
// the moment, not of the query.
const momentary = /^(08|53|57|58|40001|40P01|55P03|25006|25P02)/

function isUnavailable(error: unknown): boolean {
  // What the server didn't say comes from the way to it: pg's own time-outs, a broken connection.
  return !(error instanceof pg.DatabaseError) || momentary.test(String(error.code))
}

function unavailable(cause: unknown): never {
  throw new Problem('database_unavailable', { cause })
}

function fail(cause: unknown): never {
  if (isUnavailable(cause)) unavailable(cause)
  throw cause
}
