import type { LightMyRequestResponse } from 'fastify'
import { sql } from 'kysely'
import t from 'tap'
import { parseRefreshToken, type RefreshToken } from '../../src/sessions/refresh-token.ts'
import { allEvents } from '../helpers/audit.ts'
import { createService, databases, SECRET, type TestService } from '../helpers/service.ts'

const CANARY = 'canary 5Jq2 of the first kind'
const NEW_CANARY = 'canary 8Zt4 of the second kind'
const WRONG_CANARY = 'canary 3Wr1 of the wrong kind'
const WEAK_CANARY = 'canary 9Wk'

interface Secrets {
  readonly accessToken: string
  readonly refreshToken: string
}

// Every route, with everything secret that it takes, rightly and wrongly.
async function goEverywhere(service: TestService, { accessToken, refreshToken }: Secrets) {
  const replies: LightMyRequestResponse[] = []
  const email = 'canary@example.com'
  const json = { 'content-type': 'application/json' }
  for (const token of [accessToken, `${accessToken}x`, accessToken.slice(0, -9), undefined]) {
    const send = async (...[method, path, options]: Parameters<TestService['send']>) => {
      replies.push(await service.send(method, path, { ...(token && { token }), ...options }))
    }
    for (const password of [CANARY, WRONG_CANARY, WEAK_CANARY, `${CANARY}\u0000`, [CANARY]]) {
      await send('POST', '/auth/signup', { body: { email, password } })
      await send('POST', '/auth/login', { body: { email, password } })
      await send('POST', '/auth/login', { body: { email: password, password: email } })
      await send('POST', '/auth/login', { body: `{"password":"${password}"`, headers: json })
      await send('POST', '/auth/login', {
        body: `password=${password}`,
        headers: { 'content-type': 'text/x' },
      })
      await send('PATCH', '/account', { body: { email: 'canary@example.org', current_password: password } })
      await send('PUT', '/account/password', {
        body: { current_password: password, new_password: WEAK_CANARY },
      })
    }
    for (const wrong of [
      refreshToken.slice(0, -1),
      `x${refreshToken}`,
      accessToken.slice(0, 250),
      refreshToken,
    ]) {
      await send('POST', '/auth/refresh', { body: { refresh_token: wrong } })
      await send('POST', '/auth/refresh', { body: { refresh_token: [wrong] } })
      await send('POST', '/auth/logout', { body: { scope: wrong } })
      await send('DELETE', `/account/sessions/${wrong}`)
    }
    for (const path of ['/me', '/account', '/account/sessions', '/livez', '/readyz', '/nothing', '/%zz']) {
      await send('GET', `${path}?access_token=${accessToken}`)
      await send('GET', path, { headers: { authorization: `Basic ${accessToken}` } })
      await send('GET', path, { headers: { authorization: `Bearer ${accessToken}, Bearer ${accessToken}` } })
      await send('GET', path, { headers: { 'x-request-id': `${accessToken} `, 'user-agent': accessToken } })
    }
    await send('DELETE', '/account', { body: { current_password: WRONG_CANARY } })
  }
  return replies
}

function secretsIn({ accessToken, refreshToken }: Secrets): Record<string, string> {
  const { seal, secret } = parseRefreshToken(refreshToken) as RefreshToken
  const key = Buffer.from(SECRET.slice('base64:'.length), 'base64')
  return {
    'a password': 'canary 5Jq2',
    'a new password': 'canary 8Zt4',
    'a wrong password': 'canary 3Wr1',
    'a weak password': 'canary 9Wk',
    'a password hash': '$argon2',
    'an access token': accessToken,
    'the signature of an access token': accessToken.split('.')[2] as string,
    'the claims of an access token': accessToken.split('.')[1] as string,
    'a refresh token': refreshToken.slice(4),
    'the prefix of a refresh token': 'lkr_',
    'the seal of a refresh token': seal.toString('hex'),
    'the secret of a refresh token': secret.toString('hex'),
    'the JWT secret': SECRET.slice('base64:'.length),
    'the JWT secret in hex': key.toString('hex'),
    'the JWT secret in base64url': key.toString('base64url'),
    'an Authorization header': 'Bearer eyJ',
  }
}

for (const database of databases) {
  t.test(`no secret reaches the log, the audit trail or an error's answer, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { LOG_LEVEL: 'trace', LOG_REQUESTS: 'on' } })
    const signUp = async (email: string) => {
      const reply = await service.send('POST', '/auth/signup', { body: { email, password: CANARY } })
      const { access_token, refresh_token } = reply.json().tokens
      return { accessToken: access_token as string, refreshToken: refresh_token as string }
    }
    const ada = await signUp('ada@example.com')
    const eve = await signUp('eve@example.com')
    const replies = await goEverywhere(service, ada)
    replies.push(
      await service.send('PUT', '/account/password', {
        token: eve.accessToken,
        body: { current_password: CANARY, new_password: NEW_CANARY },
      }),
    )
    // A replayed token, then all of it again where nothing works any more.
    await service.send('POST', '/auth/refresh', { body: { refresh_token: eve.refreshToken } })
    service.clock.advance(11_000)
    replies.push(await service.send('POST', '/auth/refresh', { body: { refresh_token: eve.refreshToken } }))
    await sql`drop table sessions`.execute(service.database.db)
    await sql`alter table accounts rename column password_hash to elsewhere`.execute(service.database.db)
    replies.push(...(await goEverywhere(service, ada)))

    const errors = replies.filter(({ statusCode }) => statusCode >= 400)
    const statuses = [...new Set(errors.map(({ statusCode }) => statusCode))].sort()
    t.strictSame(statuses, [400, 401, 404, 409, 415, 422, 500], 'many kinds of errors were provoked')
    t.ok(service.log.some((line) => line.includes('"code":"internal_error"')))
    t.ok(
      service.log.some((line) => line.includes('"route":"/auth/login"')),
      'requests were logged',
    )

    const log = service.log.join('') + JSON.stringify(await allEvents(service.database.db))
    const answers = errors.map(({ body, headers }) => JSON.stringify(headers) + body).join('\n')
    for (const tokens of [ada, eve]) {
      for (const [name, secret] of Object.entries(secretsIn(tokens))) {
        t.notOk(log.includes(secret), `the log and the audit trail are free of ${name}`)
        t.notOk(answers.includes(secret), `the answers are free of ${name}`)
      }
    }
  })
}
