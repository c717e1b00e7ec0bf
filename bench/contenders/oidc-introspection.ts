/**
 * A Fastify resource server that asks node-oidc-provider about each opaque access token (RFC 7662). The provider runs in
 * a child process, so it shares the core that this one is pinned to, and keeps its tokens in a plain Map. It is asked by
 * undici over at most 64 kept connections, with a token_type_hint that spares it one of three lookups.
 */

import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import Fastify from 'fastify'
import { Pool } from 'undici'
import { AUDIENCE, ISSUER } from './shared/claims.ts'
import { guardMe, serve, unauthorized } from './shared/fastify.ts'
import { settings } from './shared/settings.ts'
import { bearerToken } from './shared/tokens.ts'

interface ActiveToken {
  readonly active: true
  readonly sub: string
  readonly session_id: string
  readonly token_id: string
  readonly roles: readonly string[]
  readonly scope: string
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
}

// Some tokens are refused with 400 rather than called inactive: that reply says nothing of them, either.
type Introspection = ActiveToken | { readonly active?: false }

const client = ['bench', randomBytes(24).toString('base64url')] as const

// What the provider warns of goes to stderr: stdout has the one line that the runner reads.
const provider = fork(new URL('./shared/introspection-provider.ts', import.meta.url), client, {
  stdio: ['ignore', 2, 2, 'ipc'],
})
const [providerPort] = await once(provider, 'message')

const pool = new Pool(`http://127.0.0.1:${providerPort}`, { connections: 64 })
const headers = {
  authorization: `Basic ${Buffer.from(client.join(':')).toString('base64')}`,
  'content-type': 'application/x-www-form-urlencoded',
}

async function post<Reply>(path: string, body: string): Promise<Reply> {
  const reply = await pool.request({ method: 'POST', path, headers, body })
  if (reply.statusCode >= 500) throw new Error(`the provider answered ${reply.statusCode}`)
  return (await reply.body.json()) as Reply
}

async function newToken(): Promise<string> {
  const { access_token } = await post<{ access_token?: string }>(
    '/token',
    'grant_type=client_credentials&scope=account',
  )
  if (access_token === undefined) throw new Error('the provider gave no token')
  return access_token
}

const app = Fastify()
guardMe(app, async (request) => {
  const token = bearerToken(request.headers.authorization)
  if (token === undefined) throw unauthorized()
  const found = await post<Introspection>(
    '/token/introspection',
    `token_type_hint=access_token&token=${encodeURIComponent(token)}`,
  )
  if (!found.active || found.iss !== ISSUER || found.aud !== AUDIENCE) throw unauthorized()
  const { session_id: sid, token_id: jti, sub, roles, scope, iss, aud, iat, exp } = found
  request.claims = { sub, sid, roles, scope, iss, aud, iat, exp, jti }
})

const tokens = await Promise.all(Array.from({ length: settings.credentials }, newToken))
await serve(
  app,
  tokens.map((token) => ({ authorization: `Bearer ${token}` })),
)
