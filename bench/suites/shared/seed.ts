import { createHmac, hash, randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import argon2 from 'argon2'
import pg from 'pg'
import { dialectOf, openDatabase } from '../../../src/database/open.ts'
import type { Dialect } from '../../../src/database/schema.ts'
import { sqlitePath } from '../../../src/database/sqlite.ts'
import { formatRefreshToken } from '../../../src/sessions/refresh-token.ts'
import { argon2Parameters, PASSWORD } from '../../baselines/shared/password.ts'

/** The seeded account that is an operator. */
export const OPERATOR = 1

/** Of so many accounts the last is disabled, and has no session. */
const DISABLED_EVERY = 20
const LAST = DISABLED_EVERY - 1

const LANES = 4

const DAY = 86_400_000
const TTL = 7 * DAY

/** What a database is filled with. */
export interface SeedOptions {
  readonly accounts: number
  /** Live revocations, of sessions that are there no more. */
  readonly revocations?: number
}

/** What stands in a seeded database. An account is named by its number: the higher, the newer. */
export interface Seed {
  readonly accounts: number
  accountId(n: number): string
  sessionId(n: number): string
  emailOf(n: number): string
  /** The newest refresh token of an account's session. */
  refreshTokenOf(n: number): string
  /** What the row of every session keeps of that token. */
  readonly secretHash: Buffer
  /**
   * Numbers of active accounts, at most `count`, evenly spread over all of them.
   *
   * @param lane from 0 to 3: what is spread in one is in no other
   */
  spread(count: number, lane?: number): readonly number[]
}

/** What opens every seeded session: the same for all, so that each token is known without a row being read. */
const keys = { seal: randomBytes(32), secret: randomBytes(32) }
const secretHash = hash('sha256', keys.secret, 'buffer')

/**
 * Fills a fresh database by SQL, in the shape that the service writes: each active account has logged in once, so there
 * are a session, an entry in the audit trail, and an address that it is known from.
 *
 * @param url as DATABASE_URL; it is migrated first
 */
export async function seedDatabase(url: string, { accounts, revocations = 0 }: SeedOptions): Promise<Seed> {
  const migrated = await openDatabase({ url, poolSize: 1, onIdleError: ignoreIdle })
  await migrated.close()

  const now = Date.now()
  const passwordHash = await argon2.hash(PASSWORD, argon2Parameters)
  // Accounts came in the last 300 days, sessions and their events in the last six.
  const created = stretch(now - 300 * DAY, now, accounts)
  const used = stretch(now - 6 * DAY, now, accounts)
  const dialect = dialectOf(url)
  const statements = [
    ...accountStatements(dialect, { accounts, passwordHash, created }),
    ...sessionStatements(dialect, { accounts, created, used }),
    ...revocationStatements(dialect, revocations, now),
  ]
  await (dialect === 'sqlite' ? fillSqlite(sqlitePath(url), statements) : fillPostgres(url, statements))

  const accountId = (n: number) => idOf(at(created, n), 0, n)
  const sessionId = (n: number) => idOf(at(used, n), 1, n)
  const seal = createHmac('sha256', keys.seal).update(keys.secret).digest().subarray(0, 16)
  return {
    accounts,
    accountId,
    sessionId,
    emailOf: (n) => `person-${String(n).padStart(7, '0')}@example.com`,
    refreshTokenOf: (n) => formatRefreshToken({ sessionId: sessionId(n), secret: keys.secret, seal }),
    secretHash,
    spread(count, lane = 0) {
      const chosen = Math.min(count, Math.floor(accounts / LANES))
      const numbers = Array.from(
        { length: chosen },
        (_, index) => Math.floor((index * accounts) / chosen) + lane,
      )
      return numbers.filter((n) => n % DISABLED_EVERY !== LAST)
    },
  }
}

/** A time for each number, evenly spread. In milliseconds since 1970. */
interface Times {
  readonly from: number
  readonly step: number
}

function stretch(from: number, until: number, count: number): Times {
  return { from, step: Math.floor((until - from) / count) }
}

function at({ from, step }: Times, n: number): number {
  return from + n * step
}

/** A UUIDv7 of a time and a number, as idSql() writes it. */
function idOf(time: number, kind: number, n: number): string {
  const hex = time.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-700${kind}-8000-${n.toString(16).padStart(12, '0')}`
}

// What the two dialects say in different words, of a column i that holds the number.
const words = {
  sqlite: {
    numbers: (count: number) =>
      `(with recursive numbers(i) as (select 0 union all select i + 1 from numbers where i < ${count} - 1)
        select i from numbers)`,
    hex: (value: string) => `printf('%012x', ${value})`,
    digits: (value: string) => `printf('%07d', ${value})`,
    uuid: (text: string) => text,
    bytes: (value: Buffer) => `x'${value.toString('hex')}'`,
    randomBytes: 'randomblob(32)',
    newline: 'char(10)',
  },
  postgres: {
    numbers: (count: number) => `(select i from generate_series(0, ${count}::bigint - 1) i)`,
    hex: (value: string) => `lpad(to_hex(${value}), 12, '0')`,
    digits: (value: string) => `lpad((${value})::text, 7, '0')`,
    uuid: (text: string) => `(${text})::uuid`,
    bytes: (value: Buffer) => `'\\x${value.toString('hex')}'::bytea`,
    randomBytes: "sha256(('known ' || i)::bytea)",
    newline: 'chr(10)',
  },
} as const

function timeSql({ from, step }: Times): string {
  return `(${from} + i * ${step})`
}

function idSql(dialect: Dialect, times: Times, kind: number): string {
  const { hex, uuid } = words[dialect]
  const time = hex(timeSql(times))
  return uuid(`substr(${time}, 1, 8) || '-' || substr(${time}, 9) || '-700${kind}-8000-' || ${hex('i')}`)
}

function accountStatements(
  dialect: Dialect,
  { accounts, passwordHash, created }: { accounts: number; passwordHash: string; created: Times },
): string[] {
  const { numbers, digits, newline } = words[dialect]
  const id = idSql(dialect, created, 0)
  const email = `'person-' || ${digits('i')} || '@example.com'`
  const time = timeSql(created)
  return [
    `insert into accounts (id, email, email_key, name, password_hash, status, created_at, updated_at, kind, search_key)
     select ${id}, ${email}, ${email}, 'Person ' || i, '${passwordHash}',
       case when i % ${DISABLED_EVERY} = ${LAST} then 'disabled' else 'active' end,
       ${time}, ${time}, 'person', ${email} || ${newline} || 'person ' || i
     from ${numbers(accounts)} numbered`,
    `insert into account_roles (account_id, role) select ${id}, 'user' from ${numbers(accounts)} numbered`,
    `insert into account_roles (account_id, role)
     select ${id}, 'admin' from ${numbers(accounts)} numbered where i = ${OPERATOR}`,
  ]
}

const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'

function sessionStatements(
  dialect: Dialect,
  { accounts, created, used }: { accounts: number; created: Times; used: Times },
): string[] {
  const { numbers, bytes, randomBytes: random } = words[dialect]
  const active = `${numbers(accounts)} numbered where i % ${DISABLED_EVERY} <> ${LAST}`
  const account = idSql(dialect, created, 0)
  const session = idSql(dialect, used, 1)
  const time = timeSql(used)
  const ip = "'203.0.113.' || (i % 250)"
  return [
    `insert into sessions (id, account_id, seal_key, secret_hash, rotation_salt, rotated_at, created_at, last_used_at,
       expires_at, ip, user_agent, kind, scope)
     select ${session}, ${account}, ${bytes(keys.seal)}, ${bytes(secretHash)}, null,
       ${time}, ${time}, ${time}, ${time} + ${TTL}, ${ip}, '${USER_AGENT}', 'login', null
     from ${active}`,
    `insert into audit_events (id, at, event, outcome, actor, subject, session_id, ip, user_agent, request_id, details)
     select ${idSql(dialect, used, 2)}, ${time}, 'login', 'success', ${textSql(dialect, account)}, ${account},
       ${session}, ${ip}, '${USER_AGENT}', ${textSql(dialect, idSql(dialect, used, 3))}, '{}'
     from ${active}`,
    `insert into attempts (key, subject, failures, blocked_until, expires_at)
     select ${random}, null, 0, 0, ${time} + ${90 * DAY} from ${active}`,
  ]
}

function revocationStatements(dialect: Dialect, count: number, now: number): string[] {
  if (count === 0) return []
  const id = idSql(dialect, stretch(now - DAY, now, count), 4)
  return [
    `insert into revocations (seq, session_id, account_id, roles, revoked_at)
     select i + 1, ${id}, null, null, ${now} from ${words[dialect].numbers(count)} numbered`,
    `update revocation_head set seq = ${count} where id = 1`,
  ]
}

function textSql(dialect: Dialect, value: string): string {
  return dialect === 'sqlite' ? value : `(${value})::text`
}

// Without a journal and without waiting for the disk: the service sets both anew when it opens the file.
function fillSqlite(path: string, statements: readonly string[]): void {
  const database = new DatabaseSync(path, { enableForeignKeyConstraints: false })
  try {
    database.exec('pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -1000000; begin')
    for (const statement of statements) database.exec(statement)
    database.exec('commit; analyze; pragma journal_mode = wal; pragma wal_checkpoint(truncate)')
  } finally {
    database.close()
  }
}

// With replication's role no foreign key is checked row by row, and no trigger is called.
async function fillPostgres(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query('set session_replication_role = replica; set synchronous_commit = off')
    for (const statement of statements) await client.query(statement)
    // What autovacuum would do at some time, in the middle of a round.
    await client.query('vacuum analyze')
    await client.query('checkpoint')
  } finally {
    await client.end()
  }
}

function ignoreIdle(error: Error): void {
  throw error
}
