/**
 * Sessions in PostgreSQL as in session-postgres, by pg's pipeline mode: a query is written without waiting for the one
 * before it. pg's pool lends a connection to one query at a time, so two connections are held and taken in turn, without
 * what a pool does when one breaks.
 */

import Fastify from 'fastify'
import pg from 'pg'
import { findSession, storeSessions } from './shared/postgres-sessions.ts'
import { newSessions, serveSessions } from './shared/sessions.ts'
import { storeUrl } from './shared/settings.ts'

const sessions = newSessions()
await storeSessions(sessions)

const clients = [connection(), connection()] as const
await Promise.all(clients.map((client) => client.connect()))

let turn = 0
await serveSessions(Fastify(), sessions, (id) => {
  turn ^= 1
  return findSession(clients[turn as 0 | 1], id)
})

function connection(): pg.Client {
  return new pg.Client({ connectionString: storeUrl(), pipeline: true })
}
