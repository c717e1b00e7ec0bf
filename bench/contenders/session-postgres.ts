/**
 * Sessions in PostgreSQL by pg: one named (prepared) statement looks the id up, with its expiry, over a pool of ten
 * connections that are all opened before the first request and kept.
 */

import Fastify from 'fastify'
import pg from 'pg'
import { CONNECTIONS, findSession, storeSessions } from './shared/postgres-sessions.ts'
import { newSessions, serveSessions } from './shared/sessions.ts'
import { storeUrl } from './shared/settings.ts'

const sessions = newSessions()
await storeSessions(sessions)

const pool = new pg.Pool({ connectionString: storeUrl(), max: CONNECTIONS, idleTimeoutMillis: 0 })
await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.query('select pg_sleep(0.05)')))

await serveSessions(Fastify(), sessions, (id) => findSession(pool, id))
