import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { type Claims, newClaims } from './claims.ts'
import { guardMe, serve, unauthorized } from './fastify.ts'
import type { HeaderSet } from './ready.ts'
import { settings } from './settings.ts'
import { bearerToken } from './tokens.ts'

export interface Session {
  readonly id: string
  readonly claims: Claims
}

/** Sessions, as many as the runner asks for, under ids of 256 random bits. */
export function newSessions(): Session[] {
  return Array.from({ length: settings.credentials }, () => ({
    id: randomBytes(32).toString('base64url'),
    claims: newClaims(),
  }))
}

/** Listens with GET /me for whoever shows the id of a session that is found. */
export async function serveSessions(
  app: FastifyInstance,
  sessions: readonly Session[],
  find: (id: string) => Promise<Claims | undefined>,
): Promise<void> {
  guardMe(app, async (request) => {
    const id = bearerToken(request.headers.authorization)
    const claims = id === undefined ? undefined : await find(id)
    if (claims === undefined) throw unauthorized()
    request.claims = claims
  })
  await serve(app, sessions.map(headersOf))
}

/** A session's id travels as a bearer token: a cookie would have to be parsed on top. */
export function headersOf({ id }: Session): HeaderSet {
  return { authorization: `Bearer ${id}` }
}
