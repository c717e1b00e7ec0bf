/**
 * Sessions in SQLite, in the process (node:sqlite): one prepared statement looks the id up, with its expiry, in a table
 * without rowid, in a file with a write-ahead log. The claims are kept as JSON. The hook is synchronous.
 */

import Fastify from 'fastify'
import type { Claims } from './shared/claims.ts'
import { guardMe, serve, unauthorized } from './shared/fastify.ts'
import { headersOf, newSessions } from './shared/sessions.ts'
import { openDatabase } from './shared/sqlite.ts'
import { bearerToken } from './shared/tokens.ts'

const sessions = newSessions()

const database = openDatabase()
database.exec(`
  create table sessions (id text primary key, claims text not null, expires_at integer not null)
  strict, without rowid
`)
const insert = database.prepare('insert into sessions (id, claims, expires_at) values (?, ?, ?)')
database.exec('begin')
for (const { id, claims } of sessions) insert.run(id, JSON.stringify(claims), claims.exp)
database.exec('commit')
const select = database.prepare('select claims from sessions where id = ? and expires_at > ?')

const app = Fastify()
guardMe(app, (request, _reply, done) => {
  const id = bearerToken(request.headers.authorization)
  const row = id === undefined ? undefined : select.get(id, Math.floor(Date.now() / 1_000))
  if (row === undefined) {
    done(unauthorized())
    return
  }
  request.claims = JSON.parse(row.claims as string) as Claims
  done()
})
await serve(app, sessions.map(headersOf))
