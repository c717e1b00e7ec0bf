import pg from 'pg'
import type { Claims } from './claims.ts'
import type { Session } from './sessions.ts'
import { storeUrl } from './settings.ts'

/** Connections that a contender holds, as many as Latchkey does by default. */
export const CONNECTIONS = 10

/** Makes the table, with these sessions and no others. The claims are kept as JSON, which pg parses. */
export async function storeSessions(sessions: readonly Session[]): Promise<void> {
  const client = new pg.Client(storeUrl())
  await client.connect()
  await client.query('drop table if exists bench_sessions')
  await client.query(
    'create table bench_sessions (id text primary key, claims json not null, expires_at bigint not null)',
  )
  await client.query(
    `insert into bench_sessions (id, claims, expires_at)
     select id, claims, (claims->>'exp')::bigint from unnest($1::text[], $2::json[]) as session (id, claims)`,
    [sessions.map(({ id }) => id), sessions.map(({ claims }) => JSON.stringify(claims))],
  )
  await client.query('vacuum analyze bench_sessions')
  await client.end()
}

/** Looks a session up by one named statement, which each connection prepares once. */
export async function findSession(database: pg.Pool | pg.Client, id: string): Promise<Claims | undefined> {
  const { rows } = await database.query<{ claims: Claims }>({
    name: 'find-session',
    text: 'select claims from bench_sessions where id = $1 and expires_at > $2',
    values: [id, Math.floor(Date.now() / 1_000)],
  })
  return rows[0]?.claims
}
