import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { logIn, PROXIED, statuses, stranger, WRONG } from '../helpers/attempts.ts'
import { createServiceAccount } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const LIMIT = { ...PROXIED, ATTEMPTS_PER_ADDRESS: '20' }
const [ONE, OTHER] = ['192.0.2.1', '192.0.2.2']

/** Fails so often from an address, each time at another account. */
async function fail(service: TestService, from: string, times: number) {
  const replies = []
  for (let index = 0; index < times; index++) {
    replies.push(await logIn(service, `nobody${index}@example.com`, { password: WRONG, from }))
  }
  return replies
}

const refresh = (service: TestService, refresh_token: string, from = ONE) =>
  service.send('POST', '/auth/refresh', { body: { refresh_token }, headers: { 'x-forwarded-for': from } })

const signUp = (service: TestService, email: string, from = ONE) =>
  service.send('POST', '/auth/signup', {
    body: { email, password: PASSWORD },
    headers: { 'x-forwarded-for': from },
  })

for (const database of databases) {
  t.test(`an address may fail 20 times a minute, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: LIMIT })
    const { email } = await service.signUp()
    t.strictSame(statuses(await fail(service, ONE, 25)), { 401: 20, 429: 5 })
    const held = await logIn(service, email, { from: ONE })
    isProblem(t, held, 'too_many_attempts')
    t.equal(held.headers['retry-after'], '60')
    t.equal((await logIn(service, email, { from: OTHER })).statusCode, 200, 'others may')

    service.clock.advance(MINUTE - 1)
    isProblem(t, await logIn(service, email, { from: ONE }), 'too_many_attempts')
    service.clock.advance(1)
    t.equal((await logIn(service, email, { from: ONE })).statusCode, 200)
    t.strictSame(statuses(await fail(service, ONE, 25)), { 401: 20, 429: 5 })
  })

  t.test(`of many attempts at once no more than 20 fail, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: LIMIT })
    const emails = Array.from({ length: 40 }, (_, index) => `nobody${index}@example.com`)
    const replies = await Promise.all(
      emails.map((email) => logIn(service, email, { password: WRONG, from: ONE })),
    )
    t.strictSame(statuses(replies), { 401: 20, 429: 20 })
  })

  t.test(`sign-ups of an address are counted, whatever comes of them, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: LIMIT })
    const { email } = await service.signUp()
    const taken = await Promise.all(Array.from({ length: 15 }, () => signUp(service, email)))
    t.strictSame(statuses(taken), { 409: 15 })
    const made = await Promise.all(
      Array.from({ length: 10 }, (_, index) => signUp(service, `new${index}@example.com`)),
    )
    t.strictSame(statuses(made), { 201: 5, 429: 5 })
    const held = await signUp(service, 'more@example.com')
    isProblem(t, held, 'too_many_attempts')
    t.equal(held.headers['ratelimit-policy'], '"signup";q=20;w=60')
    t.equal((await signUp(service, 'more@example.com', OTHER)).statusCode, 201)
    t.equal((await logIn(service, email, { from: ONE })).statusCode, 200, 'logins are not held back by it')
    service.clock.advance(MINUTE)
    t.equal((await signUp(service, 'late@example.com')).statusCode, 201)
  })

  t.test(
    `wrong refresh tokens are counted, and a genuine one is good all the same, on ${database}`,
    async (t) => {
      const service = await createService(t, { database, env: LIMIT })
      const { email, refreshToken } = await service.signUp()
      const made = Array.from({ length: 30 }, (_, index) =>
        refresh(service, index % 2 === 0 ? 'nonsense' : refreshToken.replace(/.{10}$/, 'AAAAAAAAAA')),
      )
      t.strictSame(statuses(await Promise.all(made)), { 401: 20, 429: 10 })
      const held = await refresh(service, 'nonsense')
      isProblem(t, held, 'too_many_attempts')
      t.equal(held.headers['ratelimit-policy'], '"token";q=20;w=60')
      const genuine = await refresh(service, refreshToken)
      t.equal(genuine.statusCode, 200)
      t.equal((await logIn(service, email, { from: ONE })).statusCode, 200, 'logins are not held back by it')
      t.equal((await refresh(service, 'nonsense', OTHER)).statusCode, 401)
    },
  )
}

t.test('wrong credentials are counted, and a genuine one is good all the same', async (t) => {
  const service = await createService(t, { env: LIMIT })
  const { credential } = await createServiceAccount(service)
  const exchange = (text: string) => service.send('POST', '/auth/token', { body: { credential: text } })
  const wrong = await Promise.all(
    Array.from({ length: 25 }, () => exchange(credential.replace(/.{10}$/, 'AAAAAAAAAA'))),
  )
  t.strictSame(statuses(wrong), { 401: 20, 429: 5 })
  isProblem(t, await exchange('nonsense'), 'too_many_attempts')
  t.equal((await exchange(credential)).statusCode, 200)
})

t.test('what succeeds is not counted', async (t) => {
  const service = await createService(t, { env: LIMIT })
  const emails: string[] = []
  for (let index = 0; index < 10; index++) emails.push((await service.signUp()).email)
  const replies = []
  for (let index = 0; index < 200; index++) {
    const email = emails[index % emails.length] as string
    replies.push(await logIn(service, email, { from: ONE }))
  }
  t.strictSame(statuses(replies), { 200: 200 })
})

t.test('an IPv6 network is one address', async (t) => {
  const service = await createService(t, { env: LIMIT })
  const replies = []
  for (let index = 1; index <= 25; index++) {
    const from = `2001:db8:0:1::${index.toString(16)}`
    replies.push(await logIn(service, `nobody${index}@example.com`, { password: WRONG, from }))
  }
  t.strictSame(statuses(replies), { 401: 20, 429: 5 })
  t.strictSame(statuses(await fail(service, '2001:db8:0:2::1', 1)), { 401: 1 }, 'the next one is another')
})

t.test('the networks of an IPv6 site have sixteen times as much together', async (t) => {
  const service = await createService(t, { env: { ...PROXIED, ATTEMPTS_PER_ADDRESS: '2' } })
  const network = (number: number, site = 1) => `2001:db8:${site}:${number.toString(16)}::1`
  const logIns: LightMyRequestResponse[] = []
  const refreshes: LightMyRequestResponse[] = []
  for (let index = 1; index <= 40; index++) {
    const from = network(index)
    logIns.push(await logIn(service, `nobody${index}@example.com`, { password: WRONG, from }))
    refreshes.push(await refresh(service, 'nonsense', from))
  }
  for (const replies of [logIns, refreshes]) {
    t.strictSame(statuses(replies), { 401: 32, 429: 8 })
    t.match(replies.slice(32), Array(8).fill({ statusCode: 429 }), 'the last ones')
  }
  t.strictSame(statuses(await fail(service, network(1, 2), 1)), { 401: 1 }, 'the next site is another')
})

t.test('who changes address tells taken ones from free ones no oftener than who signs up', async (t) => {
  const service = await createService(t, { env: LIMIT })
  const { email: taken } = await service.signUp()
  const { accessToken: token } = await service.signUp()
  const replies: LightMyRequestResponse[] = []
  for (let index = 0; index < 25; index++) {
    const body = { email: index % 2 === 0 ? taken : `free${index}@example.com`, current_password: PASSWORD }
    const headers = { 'x-forwarded-for': ONE }
    replies.push(await service.send('PATCH', '/account', { token, body, headers }))
  }
  t.strictSame(statuses(replies), { 200: 10, 409: 10, 429: 5 })
})

t.test('who is no address is one address, and never a familiar one', async (t) => {
  const service = await createService(t, { env: { ...PROXIED, ATTEMPTS_PER_ADDRESS: '9' } })
  const { email } = await service.signUp()
  t.equal((await logIn(service, email, { from: 'unknown' })).statusCode, 200)
  const replies = []
  for (let index = 0; index < 5; index++) {
    replies.push(await logIn(service, email, { password: WRONG, from: `_hidden${index}` }))
  }
  t.strictSame(statuses(replies), { 401: 5 })
  const stranger = await logIn(service, email, { from: OTHER })
  isProblem(t, stranger, 'too_many_attempts')
  t.match(stranger.headers.ratelimit, /^"account"/, 'they were counted as strangers are')
  t.strictSame(statuses(await fail(service, 'unknown', 5)), { 401: 4, 429: 1 })
})

t.test('an address that a client makes up is not believed', async (t) => {
  const service = await createService(t, { env: { ATTEMPTS_PER_ADDRESS: '20' } })
  const replies = []
  for (let index = 0; index < 25; index++) {
    replies.push(
      await logIn(service, `nobody${index}@example.com`, { password: WRONG, from: stranger(index) }),
    )
  }
  t.strictSame(statuses(replies), { 401: 20, 429: 5 })
})

t.test('that a proxy may have been forgotten is said once', async (t) => {
  const warnings = ({ log }: TestService) => log.filter((line) => line.includes('TRUST_PROXY is off'))
  const service = await createService(t, { env: { ATTEMPTS_PER_ADDRESS: '5' } })
  const nobody = (index: number, headers: Record<string, string> = {}) =>
    service.send('POST', '/auth/login', {
      body: { email: `nobody${index}@example.com`, password: WRONG },
      headers,
    })
  for (let index = 0; index < 7; index++) await nobody(index)
  t.strictSame(warnings(service), [], 'not where nobody names another address')
  for (let index = 0; index < 3; index++) await nobody(index, { forwarded: 'for=192.0.2.1' })
  for (let index = 0; index < 3; index++) await nobody(index, { 'x-forwarded-for': ONE })
  t.equal(warnings(service).length, 1)
  t.match(JSON.parse(warnings(service)[0] as string), { level: 40, request_id: String })

  const behind = await createService(t, { env: { ...PROXIED, ATTEMPTS_PER_ADDRESS: '5' } })
  t.strictSame(statuses(await fail(behind, ONE, 7)), { 401: 5, 429: 2 })
  t.strictSame(warnings(behind), [], 'nor where TRUST_PROXY is set')

  const early = await createService(t)
  await fail(early, ONE, 1)
  t.strictSame(warnings(early), [], 'nor before somebody is held back')
})

t.test('a clock that is set back holds no address back', async (t) => {
  const service = await createService(t, { env: LIMIT })
  await fail(service, ONE, 21)
  service.clock.advance(-60 * MINUTE)
  t.strictSame(statuses(await fail(service, ONE, 21)), { 401: 20, 429: 1 })
})
