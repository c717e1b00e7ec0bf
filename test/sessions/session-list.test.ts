import { randomUUID, randomUUIDv7 } from 'node:crypto'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`an account's sessions are listed, the last used first, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, sessionId, accessToken: token, refreshToken } = await service.signUp()
    await service.signUp()
    const created_at = new Date(service.clock()).toISOString()
    service.clock.advance(60_000)
    await service.send('POST', '/auth/login', {
      body: { email, password: PASSWORD },
      headers: { 'user-agent': `curl/8 ${'x'.repeat(300)}` },
    })
    const [other, own] = (await service.send('GET', '/account/sessions', { token })).json().sessions
    t.strictSame(own, {
      id: sessionId,
      created_at,
      last_used_at: created_at,
      expires_at: new Date(service.clock() - 60_000 + 7 * 86_400_000).toISOString(),
      ip: '127.0.0.1',
      user_agent: 'lightMyRequest',
      current: true,
    })
    t.match(other, { current: false, user_agent: /^curl\/8 x{249}$/ }, 'a long User-Agent is cut at 256')

    service.clock.advance(60_000)
    await service.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } })
    const reply = await service.send('GET', '/account/sessions', { token })
    t.equal(reply.statusCode, 200)
    t.equal(reply.headers['cache-control'], 'no-store')
    const { sessions } = reply.json()
    t.equal(sessions.length, 2, 'and nobody else is in it')
    t.match(sessions[0], {
      id: sessionId,
      created_at,
      last_used_at: new Date(service.clock()).toISOString(),
      expires_at: new Date(service.clock() + 7 * 86_400_000).toISOString(),
    })
  })

  t.test(`one session is ended, at once, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accountId, accessToken: token } = await service.signUp()
    const login = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
    const { access_token, refresh_token } = login.json()
    const { sid } = (await service.send('GET', '/me', { token: access_token })).json()

    const ended = await service.send('DELETE', `/account/sessions/${sid.toUpperCase()}`, { token })
    t.equal(ended.statusCode, 204)
    t.equal(ended.body, '')
    isProblem(t, await service.send('GET', '/me', { token: access_token }), 'token_revoked')
    isProblem(
      t,
      await service.send('POST', '/auth/refresh', { body: { refresh_token } }),
      'refresh_token_invalid',
    )
    t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
    t.match(service.events('session_ended'), [{ account_id: accountId, session_id: sid }])
    isProblem(t, await service.send('DELETE', `/account/sessions/${sid}`, { token }), 'not_found')
  })
}

t.test("another account's session is not there, like one that never was", async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  const stranger = await service.signUp()
  for (const id of [stranger.sessionId, randomUUIDv7(), randomUUID()]) {
    const reply = await service.send('DELETE', `/account/sessions/${id}`, { token })
    isProblem(t, reply, 'not_found')
    t.equal(reply.json().detail, 'The account has no such session.')
  }
  t.equal((await service.send('GET', '/me', { token: stranger.accessToken })).statusCode, 200)
})

t.test('who ends the session at hand is signed out', async (t) => {
  const service = await createService(t)
  const { sessionId, accessToken: token } = await service.signUp()
  t.equal((await service.send('DELETE', `/account/sessions/${sessionId}`, { token })).statusCode, 204)
  isProblem(t, await service.send('GET', '/account/sessions', { token }), 'token_revoked')
})

t.test('what is no id is refused', async (t) => {
  const service = await createService(t)
  const { sessionId, accessToken: token } = await service.signUp()
  for (const id of [
    'x',
    `${sessionId}0`,
    sessionId.replaceAll('-', ''),
    `{${sessionId}}`,
    '%00',
    "'%20or%201=1",
  ]) {
    const reply = await service.send('DELETE', `/account/sessions/${id}`, { token })
    isProblem(t, reply, 'invalid_request', ['id'])
  }
  isProblem(t, await service.send('DELETE', `/account/sessions/${sessionId}`), 'token_missing')
  isProblem(t, await service.send('GET', '/account/sessions'), 'token_missing')
})

t.test('expired sessions are not listed, and of the others at most a hundred', async (t) => {
  const service = await createService(t)
  const { accountId, sessionId, accessToken: token } = await service.signUp()
  const { db } = service.database
  const row = await db
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', sessionId)
    .executeTakeFirstOrThrow()
  const count = async () => (await service.send('GET', '/account/sessions', { token })).json().sessions.length

  await db
    .insertInto('sessions')
    .values([1, 2, 3].map(() => ({ ...row, id: randomUUIDv7(), expires_at: service.clock() })))
    .execute()
  t.equal(await count(), 1)
  await db
    .insertInto('sessions')
    .values(Array.from({ length: 100 }, () => ({ ...row, account_id: accountId, id: randomUUIDv7() })))
    .execute()
  t.equal(await count(), 100)
})

t.test('a session keeps the address it was opened from', async (t) => {
  const open = async (env: Record<string, string>, remoteAddress: string) => {
    const service = await createService(t, { env })
    const reply = await service.app.inject({
      method: 'POST',
      url: '/auth/signup',
      remoteAddress,
      headers: { 'x-forwarded-for': '203.0.113.9, 192.0.2.7' },
      payload: { email: 'ada@example.com', password: PASSWORD },
    })
    const token = reply.json().tokens.access_token
    return (await service.send('GET', '/account/sessions', { token })).json().sessions[0].ip
  }
  t.equal(await open({}, '10.1.2.3'), '10.1.2.3', 'whatever X-Forwarded-For says')
  t.equal(await open({}, '::ffff:10.1.2.3'), '10.1.2.3', 'an IPv4 address as such')
  t.equal(await open({}, '2001:db8::7'), '2001:db8::7')
  t.equal(await open({ TRUST_PROXY: '10.0.0.0/8' }, '10.1.2.3'), '192.0.2.7', 'unless the proxy is trusted')
  t.equal(await open({ TRUST_PROXY: '10.0.0.0/8' }, '198.51.100.1'), '198.51.100.1')
})

t.test('a client that names no User-Agent is listed without one', async (t) => {
  const service = await createService(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = service.app.server.address() as AddressInfo
  const body = JSON.stringify({ email: 'ada@example.com', password: PASSWORD })
  // Unlike fetch() and inject(), node:http sends no User-Agent of its own.
  const { tokens } = await new Promise<{ tokens: { access_token: string } }>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    request({ host: '127.0.0.1', port, path: '/auth/signup', method: 'POST', headers, agent: false })
      .on('response', async (reply) => resolve(JSON.parse(await text(reply))))
      .on('error', reject)
      .end(body)
  })
  const reply = await service.send('GET', '/account/sessions', { token: tokens.access_token })
  t.match(reply.json().sessions, [{ user_agent: null, ip: '127.0.0.1' }])
})
