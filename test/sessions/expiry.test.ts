import { pino } from 'pino'
import t from 'tap'
import { createApp } from '../../src/app.ts'
import { parseConfig } from '../../src/config.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { isProblem } from '../helpers/problems.ts'
import { CHEAP_ARGON2, createService, databases, SECRET, type TestService } from '../helpers/service.ts'

const DAY = 86_400_000

function refresh(service: TestService, refresh_token: string) {
  return service.send('POST', '/auth/refresh', { body: { refresh_token } })
}

async function expiryOf(service: TestService, token: string): Promise<number> {
  return (await service.send('GET', '/me', { token })).json().exp * 1_000
}

for (const database of databases) {
  t.test(`a refresh token lasts 7 days unused, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const [punctual, late] = [await service.signUp(), await service.signUp()]
    service.clock.advance(7 * DAY - 1)
    const { refresh_token } = (await refresh(service, punctual.refreshToken)).json()
    service.clock.advance(1)
    isProblem(t, await refresh(service, late.refreshToken), 'refresh_token_invalid')
    service.clock.advance(6 * DAY)
    t.equal((await refresh(service, refresh_token)).statusCode, 200, 'each refresh begins the 7 days anew')
    t.strictSame(service.events('refresh_reused'), [])
  })

  t.test(`a session lasts 30 days, however often it is refreshed, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    let { refreshToken } = await service.signUp()
    const end = service.clock() + 30 * DAY
    const promised: number[] = []
    const rotate = async () => {
      const tokens = (await refresh(service, refreshToken)).json()
      refreshToken = tokens.refresh_token
      promised.push(tokens.refresh_token_expires_in / 86_400)
      return tokens
    }
    for (let day = 6; day <= 24; day += 6) {
      service.clock.advance(6 * DAY)
      await rotate()
    }
    t.strictSame(promised, [7, 7, 7, 6], 'no refresh token outlives the session')

    service.clock.advance(6 * DAY - 300_000)
    const last = await rotate()
    t.equal(last.refresh_token_expires_in, 300)
    t.ok(last.expires_in <= 301)
    const expiry = await expiryOf(service, last.access_token)
    t.ok(expiry - end < 1_000, 'no access token outlives the session, but for the rounding to whole seconds')

    service.clock.advance(300_000)
    isProblem(t, await refresh(service, last.refresh_token), 'refresh_token_invalid')
    service.clock.advance(6_000)
    isProblem(t, await service.send('GET', '/me', { token: last.access_token }), 'token_expired')
  })
}

t.test('an access token ends with a session that is shorter than its own time', async (t) => {
  const service = await createService(t, { env: { REFRESH_TOKEN_TTL: '1m', SESSION_TTL: '90s' } })
  const begin = service.clock()
  const { accessToken, refreshToken } = await service.signUp()
  t.ok((await expiryOf(service, accessToken)) - (begin + 60_000) < 1_000)
  service.clock.advance(50_000)
  const { access_token, refresh_token_expires_in } = (await refresh(service, refreshToken)).json()
  t.equal(refresh_token_expires_in, 40)
  t.ok((await expiryOf(service, access_token)) - (begin + 90_000) < 1_000)
})

t.test('a SESSION_TTL that was shortened ends the sessions that are older', async (t) => {
  const service = await createService(t)
  const { refreshToken } = await service.signUp()
  service.clock.advance(2 * DAY)
  const app = createApp({
    ...service,
    config: parseConfig({ JWT_SECRET: SECRET, SESSION_TTL: '1d' }),
    passwords: await createPasswords(CHEAP_ARGON2),
    logger: pino({ level: 'silent' }),
  })
  t.teardown(() => app.close())
  const payload = { refresh_token: refreshToken }
  isProblem(t, await app.inject({ method: 'POST', url: '/auth/refresh', payload }), 'refresh_token_invalid')
})

t.test('the durations are what the configuration says', async (t) => {
  const service = await createService(t, { env: { ACCESS_TOKEN_TTL: '2m', REFRESH_TOKEN_TTL: '1h' } })
  const { refreshToken } = await service.signUp()
  t.match((await refresh(service, refreshToken)).json(), { expires_in: 120, refresh_token_expires_in: 3_600 })
})
