import type { AddressInfo } from 'node:net'
import t from 'tap'
import { openEventStream } from '../helpers/event-stream.ts'
import { valueIn } from '../helpers/exposition.ts'
import { createServiceAccount } from '../helpers/operators.ts'
import { poll } from '../helpers/poll.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

type Labels = Readonly<Record<string, string>>

/** What GET /metrics answers once it is no longer what it answered a moment ago. */
async function scrape({ send }: TestService): Promise<string> {
  const uptime = (text: string) =>
    valueIn(text, 'latchkey_requests_total', { route: '/metrics', method: 'GET' })
  const before = uptime((await send('GET', '/metrics')).body)
  return poll('a new scrape', async () => {
    const { body } = await send('GET', '/metrics')
    return uptime(body) > before && body
  })
}

/** Does something, and returns by how much each series has grown with it. */
async function growth(
  service: TestService,
  act: () => Promise<unknown>,
): Promise<(name: string, labels?: Labels) => number> {
  const before = await scrape(service)
  await act()
  const after = await scrape(service)
  return (name, labels) => valueIn(after, name, labels) - valueIn(before, name, labels)
}

for (const database of databases) {
  t.test(`what comes of logins and sign-ups is counted, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { send } = service
    const { email } = await service.signUp()
    const logIn = (password: string) => send('POST', '/auth/login', { body: { email, password } })
    const grown = await growth(service, async () => {
      await logIn(PASSWORD)
      await logIn(PASSWORD)
      await logIn('not the password')
      await send('POST', '/auth/login', { body: { email } })
      await service.signUp()
      await send('POST', '/auth/signup', { body: { email, password: PASSWORD } })
      await send('POST', '/auth/signup', { body: { email: 'b@example.com', password: 'short' } })
    })
    const logins = (outcome: string) => grown('latchkey_logins_total', { outcome })
    t.equal(logins('ok'), 2)
    t.equal(logins('invalid_credentials'), 1)
    t.equal(logins('invalid_request'), 1)
    const signUps = (outcome: string) => grown('latchkey_signups_total', { outcome })
    t.equal(signUps('ok'), 1)
    t.equal(signUps('email_taken'), 1)
    t.equal(signUps('password_too_weak'), 1)
    const answers = (status: string) =>
      grown('latchkey_requests_total', { route: '/auth/login', method: 'POST', status })
    t.equal(answers('200'), 2)
    t.equal(answers('401'), 1)
    t.equal(answers('400'), 1)
    t.equal(grown('latchkey_request_duration_seconds_count', { route: '/auth/login' }), 4)
    const code = 'invalid_credentials'
    t.equal(grown('latchkey_problems_total', { route: '/auth/login', method: 'POST', code }), 1)
  })

  t.test(`what comes of refreshes is counted, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { send, clock } = service
    const { refreshToken: first, accountId } = await service.signUp()
    const refresh = (token: string) => send('POST', '/auth/refresh', { body: { refresh_token: token } })
    const grown = await growth(service, async () => {
      const second = (await refresh(first)).json().refresh_token
      await refresh(first)
      await refresh(second)
      clock.advance(11_000)
      await refresh(first)
      await refresh('lkr_made-up')
      const { refreshToken } = await service.signUp()
      await service.database.db.updateTable('accounts').set({ status: 'disabled' }).execute()
      await refresh(refreshToken)
    })
    t.ok(accountId)
    const refreshes = (outcome: string) => grown('latchkey_refreshes_total', { outcome })
    t.equal(refreshes('ok'), 2)
    t.equal(refreshes('repeated'), 1)
    t.equal(refreshes('refresh_token_reused'), 1)
    t.equal(refreshes('refresh_token_invalid'), 1)
    t.equal(refreshes('account_disabled'), 1)
  })

  t.test(`revocations are counted, and how late they were heard of, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await service.signUp()
    const before = await scrape(service)
    t.equal(valueIn(before, 'latchkey_revocations_live'), 0)
    t.ok(valueIn(before, 'latchkey_revocations_age_seconds') >= 0)
    await service.send('POST', '/auth/logout', { token })
    const after = await poll('it to be heard of', async () => {
      const text = await scrape(service)
      return valueIn(text, 'latchkey_revocation_lag_seconds_count') === 1 && text
    })
    t.equal(valueIn(after, 'latchkey_revocations_live'), 1)
    t.equal(valueIn(after, 'latchkey_revocations_age_seconds') < 60, true)
  })

  t.test(`a node that starts later doesn't take what is old for late, on ${database}`, async (t) => {
    const first = await createService(t, { database })
    const { accessToken: token } = await first.signUp()
    await first.send('POST', '/auth/logout', { token })
    const second = await createService(t, { database: first.database })
    const text = await scrape(second)
    t.equal(valueIn(text, 'latchkey_revocations_live'), 1)
    t.equal(valueIn(text, 'latchkey_revocation_lag_seconds_count'), 0)
  })
}

t.test('what the guard decides is counted by its reason', async (t) => {
  const service = await createService(t)
  const { send, clock } = service
  const { accessToken: token } = await service.signUp()
  const { accessToken: revoked } = await service.signUp()
  const grown = await growth(service, async () => {
    for (let times = 0; times < 3; times++) await send('GET', '/me', { token })
    await send('GET', '/me')
    await send('GET', '/me', { token: 'made.up' })
    await send('GET', '/me', { headers: { authorization: 'Bearer' } })
    await send('POST', '/auth/logout', { token: revoked })
    await send('GET', '/me', { token: revoked })
    clock.advance(3_600_000)
    await send('GET', '/me', { token })
  })
  const outcomes = (outcome: string) => grown('latchkey_guard_outcomes_total', { outcome })
  t.equal(outcomes('ok'), 4)
  t.equal(outcomes('token_missing'), 1)
  t.equal(outcomes('token_invalid'), 1)
  t.equal(outcomes('invalid_request'), 1)
  t.equal(outcomes('token_revoked'), 1)
  t.equal(outcomes('token_expired'), 1)
  t.equal(outcomes('token_stale'), 0)
  t.equal(grown('latchkey_token_memory_lookups_total', { result: 'hit' }), 3)
  t.equal(grown('latchkey_token_memory_lookups_total', { result: 'miss' }), 4)
  t.equal(grown('latchkey_token_memory_tokens'), 1)
})

t.test('what is throttled is counted by what was counted', async (t) => {
  const service = await createService(t, { env: { ATTEMPTS_PER_ADDRESS: '2' } })
  const grown = await growth(service, async () => {
    for (let times = 0; times < 4; times++) {
      const body = { email: 'ada@example.com', password: PASSWORD }
      await service.send('POST', '/auth/login', { body })
    }
  })
  t.ok(grown('latchkey_throttled_total', { scope: 'address' }) >= 1)
  t.equal(grown('latchkey_throttled_total', { scope: 'signup' }), 0)
  const throttled = grown('latchkey_logins_total', { outcome: 'too_many_attempts' })
  t.equal(throttled, grown('latchkey_throttled_total', { scope: 'address' }))
})

t.test('what no route took is counted by its method: a preflight, and paths that are none', async (t) => {
  const origin = 'https://app.example.com'
  const service = await createService(t, { env: { CORS_ORIGINS: origin } })
  const grown = await growth(service, async () => {
    const headers = { origin, 'access-control-request-method': 'GET' }
    await service.app.inject({ method: 'OPTIONS', url: '/me', headers })
    await service.send('GET', '/nowhere')
    await service.send('PUT', '/auth/login')
    await service.send('GET', '/%')
  })
  const unknown = (method: string, status: string) =>
    grown('latchkey_requests_total', { route: 'unknown', method, status })
  t.equal(unknown('OPTIONS', '204'), 1)
  t.equal(unknown('GET', '404'), 1)
  t.equal(unknown('PUT', '405'), 1)
  t.equal(unknown('GET', '400'), 1)
  const problem = (code: string) => grown('latchkey_problems_total', { route: 'unknown', code })
  t.strictSame(['not_found', 'method_not_allowed', 'invalid_request'].map(problem), [1, 1, 1])
})

t.test('streams of the feed are counted for as long as they are open', async (t) => {
  const service = await createService(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const { accessToken } = await createServiceAccount(service)
  const url = `http://127.0.0.1:${(service.app.server.address() as AddressInfo).port}/revocations`
  const open = async () => valueIn(await scrape(service), 'latchkey_revocation_streams')
  t.equal(await open(), 0)
  const stream = await openEventStream(t, url, { authorization: `Bearer ${accessToken}` })
  t.equal(stream.response.status, 200)
  t.equal(await open(), 1)
  // It counts as answered when it began.
  const route = '/revocations'
  t.equal(valueIn(await scrape(service), 'latchkey_requests_total', { route, status: '200' }), 1)
  stream.close()
  await poll('the stream to be closed', async () => (await open()) === 0)
})
