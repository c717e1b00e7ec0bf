/**
 * @fastify/session on @fastify/cookie, with its own memory store: a signed cookie names the session. `rolling` and
 * `saveUninitialized` are off, so that a request that changes nothing saves nothing and sets no cookie. Sessions are
 * opened by requests at the start, since one that the library saved itself is spared a signature each time it is read.
 */

import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import Fastify from 'fastify'
import { type Claims, newClaims, TTL } from './shared/claims.ts'
import { guardMe, serve, unauthorized } from './shared/fastify.ts'
import type { HeaderSet } from './shared/ready.ts'
import { settings } from './shared/settings.ts'

declare module 'fastify' {
  interface Session {
    claims?: Claims
  }
}

const app = Fastify()
await app.register(fastifyCookie)
await app.register(fastifySession, {
  secret: settings.secret.toString('base64url'),
  cookie: { secure: false, maxAge: TTL * 1_000 },
  rolling: false,
  saveUninitialized: false,
})
app.post('/log-in', (request, reply) => {
  request.session.claims = newClaims()
  reply.code(204).send()
})
guardMe(app, (request, _reply, done) => {
  const { claims } = request.session
  if (claims === undefined) {
    done(unauthorized())
    return
  }
  request.claims = claims
  done()
})

const headers: HeaderSet[] = []
for (let n = 0; n < settings.credentials; n++) headers.push(await logIn())
await serve(app, headers)

async function logIn(): Promise<HeaderSet> {
  const { cookies } = await app.inject({ method: 'POST', url: '/log-in' })
  return { cookie: cookies.map(({ name, value }) => `${name}=${encodeURIComponent(value)}`).join('; ') }
}
