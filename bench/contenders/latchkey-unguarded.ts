/**
 * Latchkey as `serve` builds it, with its logger, metrics and hooks, and one more route: GET /open answers what GET /me
 * does without being guarded. Both are in one process, so that what the guard costs is told from what the process does.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../../src/app.ts'
import { parseConfig } from '../../src/config.ts'
import { connect } from '../../src/database/connect.ts'
import type { Scope } from '../../src/http/validation.ts'
import { createLogger } from '../../src/logger.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { runtimeMetrics } from '../../src/metrics/runtime.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { giveWay } from '../../src/passwords/priority.ts'
import { ClaimsBody } from '../../src/sessions/schemas.ts'
import { keepTicksFast } from '../../src/ticks.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { settings } from './shared/settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))

const secret = settings.secret
const config = parseConfig({
  NODE_ENV: 'production',
  JWT_SECRET: `base64:${secret.toString('base64')}`,
  DATABASE_URL: `file:${join(folder, 'latchkey.db')}`,
  PORT: String(settings.port),
  // A token outlives the bench.
  ACCESS_TOKEN_TTL: '1h',
})

// From here on as src/server.ts does it.
const logger = createLogger(config)
const keyring = await createKeyring([secret], config)
const metrics = createMetrics()
runtimeMetrics(metrics.registry)
const database = await connect(config, logger, metrics.onStatement)
const passwords = await createPasswords(config.argon2, metrics.onHashing)
giveWay()
keepTicksFast()
const app = createApp({ config, database, keyring, passwords, logger, metrics, clock: Date.now })

let claims: unknown
app.register(async (scope: Scope) => {
  scope.get(
    '/open',
    {
      schema: {
        operationId: 'getOpen',
        summary: 'The claims of an access token, for anybody',
        tags: ['me'],
        response: { 200: ClaimsBody },
        success: 'The claims.',
      },
    },
    (_request, reply) => {
      reply.send(claims as never)
    },
  )
})
await app.ready()

const signedUp = await app.inject({
  method: 'POST',
  url: '/auth/signup',
  payload: { email: 'ada@example.com', password: 'a long walk by the river' },
})
const headers = { authorization: `Bearer ${signedUp.json().tokens.access_token}` }
claims = Object.freeze((await app.inject({ url: '/me', headers })).json())

await app.listen({ host: '127.0.0.1', port: settings.port })
console.log(JSON.stringify({ method: 'GET', path: '/open', headers: [headers], guardedPath: '/me' }))
