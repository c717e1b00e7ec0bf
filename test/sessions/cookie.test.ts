import { randomUUID } from 'node:crypto'
import t from 'tap'
import { allEvents } from '../helpers/audit.ts'
import { COOKIE_ENV, cookieOf, refreshByCookie, sendFromPage, tokenOf } from '../helpers/cookie-mode.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const WEEK = 7 * 86_400

/** The cookie as it has to stand with a token: for this host alone, over TLS alone, and for no script. */
const cookieWith = (value: string, maxAge: number) => ({
  name: '__Host-latchkey',
  value,
  maxAge,
  path: '/',
  httpOnly: true,
  secure: true,
  sameSite: 'strict',
})
const REMOVED = cookieWith('', 0)

async function signUp(service: TestService) {
  const email = `${randomUUID()}@example.com`
  const reply = await sendFromPage(service, '/auth/signup', { body: { email, password: PASSWORD } })
  t.equal(reply.statusCode, 201)
  return { email, reply, cookie: tokenOf(reply), accessToken: reply.json().tokens.access_token as string }
}

for (const database of databases) {
  t.test(`a session in a cookie, from sign-up to signed out, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: COOKIE_ENV })
    const { email, reply, cookie, accessToken } = await signUp(service)
    const { access_token, ...terms } = reply.json().tokens
    const same = { token_type: 'Bearer', expires_in: 600, refresh_token_expires_in: WEEK, scope: 'account' }
    t.strictSame(terms, same, 'no body has the refresh token')
    t.strictSame(cookieOf(reply), cookieWith(cookie, WEEK))
    t.match(cookie, /^lkr_[\w-]{86}$/)
    t.equal(reply.headers.location, '/account')

    const logIn = await sendFromPage(service, '/auth/login', { body: { email, password: PASSWORD } })
    t.equal(logIn.statusCode, 200)
    t.strictSame(cookieOf(logIn), cookieWith(tokenOf(logIn), WEEK))

    service.clock.advance(60_000)
    const refreshed = await refreshByCookie(service, tokenOf(logIn))
    t.equal(refreshed.statusCode, 200)
    const { access_token: token, ...refreshedTerms } = refreshed.json()
    t.strictSame(refreshedTerms, same)
    t.strictSame(cookieOf(refreshed), cookieWith(tokenOf(refreshed), WEEK))
    t.not(tokenOf(refreshed), tokenOf(logIn))
    t.equal((await service.send('GET', '/me', { token })).statusCode, 200)

    const out = await sendFromPage(service, '/auth/logout', { token })
    t.equal(out.statusCode, 204)
    t.strictSame(cookieOf(out), REMOVED)
    isProblem(t, await service.send('GET', '/me', { token }), 'token_revoked')
    t.equal((await service.send('GET', '/me', { token: accessToken })).statusCode, 200, 'the other one stays')

    for (const answer of [reply, logIn, refreshed]) {
      const { 'set-cookie': set, ...headers } = answer.headers
      t.notOk(`${answer.body}${JSON.stringify(headers)}`.includes(tokenOf(answer)), 'it is nowhere else')
      t.equal(headers['cache-control'], 'no-store')
    }
  })

  t.test(
    `for 10 s the previous cookie gets the same again, and then ends the session, on ${database}`,
    async (t) => {
      const service = await createService(t, { database, env: COOKIE_ENV })
      const { cookie, accessToken } = await signUp(service)
      const child = await refreshByCookie(service, cookie)
      service.clock.advance(10_000)
      const again = await refreshByCookie(service, cookie)
      t.strictSame(cookieOf(again), cookieWith(tokenOf(child), WEEK - 10), 'with the same end')
      t.equal((await service.send('GET', '/me', { token: again.json().access_token })).statusCode, 200)

      service.clock.advance(1)
      const replayed = await refreshByCookie(service, cookie)
      isProblem(t, replayed, 'refresh_token_reused')
      t.strictSame(cookieOf(replayed), REMOVED)
      isProblem(t, await service.send('GET', '/me', { token: accessToken }), 'token_revoked')
      const ended = await refreshByCookie(service, tokenOf(child))
      isProblem(t, ended, 'refresh_token_invalid')
      t.strictSame(cookieOf(ended), REMOVED)
    },
  )

  t.test(`the trail tells the same of both, on ${database}`, async (t) => {
    const told: object[] = []
    for (const transport of ['body', 'cookie'] as const) {
      await t.test(`by ${transport}`, async (t) => {
        const service = await createService(t, { database, env: { ...COOKIE_ENV, LOG_REQUESTS: 'on' } })
        const send = (path: string, body: object, cookie = '', token = '') => {
          // In the trail what happens in one millisecond has no order.
          service.clock.advance(1)
          return sendFromPage(service, path, {
            body: { transport, ...body },
            cookie,
            ...(token && { token }),
          })
        }
        const refresh = (given: string) =>
          transport === 'cookie'
            ? send('/auth/refresh', {}, `__Host-latchkey=${given}`)
            : send('/auth/refresh', { refresh_token: given })
        const given = (reply: Awaited<ReturnType<typeof send>>): string =>
          transport === 'cookie' ? tokenOf(reply) : reply.json().refresh_token
        const user = { email: 'ada@example.com', password: PASSWORD }

        await send('/auth/signup', user)
        await send('/auth/login', { ...user, password: 'a wrong one' })
        const first = given(await send('/auth/login', user))
        const second = await refresh(first)
        await refresh(given(second))
        await refresh(first)
        const { access_token } = (await send('/auth/login', user)).json()
        await send('/auth/logout', { scope: 'all' }, '', access_token)
        const events = await allEvents(service.database.db)

        const written = service.log.join('') + JSON.stringify(events)
        t.ok(written.includes('"route":"/auth/refresh"'), 'requests were logged')
        t.notMatch(written, /lkr_|__Host|set-cookie/i, 'and no cookie')
        t.strictSame(
          events.map(({ event }) => event),
          ['signup', 'login_failed', 'login', 'refresh_reused', 'login', 'logout'],
        )
        told.push(events.map(({ event, outcome, details }) => ({ event, outcome, details })))
      })
    }
    t.strictSame(told[1], told[0])
  })
}

t.test('the cookie ends when the session does', async (t) => {
  const env = { ...COOKIE_ENV, REFRESH_TOKEN_TTL: '1h', SESSION_TTL: '90m' }
  const service = await createService(t, { env })
  const { cookie, reply } = await signUp(service)
  t.equal(cookieOf(reply)?.maxAge, 3_600)
  service.clock.advance(3_599_500)
  const refreshed = await refreshByCookie(service, cookie)
  t.equal(cookieOf(refreshed)?.maxAge, 1_800, 'whole seconds, and none too many')
  service.clock.advance(1_800_500)
  const over = await refreshByCookie(service, tokenOf(refreshed))
  isProblem(t, over, 'refresh_token_invalid')
  t.strictSame(cookieOf(over), REMOVED)
})

t.test('only who signs out of this session loses the cookie', async (t) => {
  const service = await createService(t, { env: COOKIE_ENV })
  const { email, cookie, accessToken: token } = await signUp(service)
  await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
  const others = await sendFromPage(service, '/auth/logout', { token, cookie, body: { scope: 'others' } })
  t.equal(others.statusCode, 204)
  t.equal(cookieOf(others), undefined)
  const all = await sendFromPage(service, '/auth/logout', { token, body: { scope: 'all' } })
  t.equal(all.statusCode, 204)
  t.strictSame(cookieOf(all), REMOVED)
  const again = await sendFromPage(service, '/auth/logout', { token, body: { scope: 'all' } })
  isProblem(t, again, 'token_revoked')
  t.equal(cookieOf(again), undefined)
})

t.test('scope and audience are asked for as ever', async (t) => {
  const service = await createService(t, { env: { ...COOKIE_ENV, JWT_OTHER_AUDIENCES: 'billing' } })
  const { cookie } = await signUp(service)
  const billing = await refreshByCookie(service, cookie, { audience: 'billing', scope: 'account' })
  t.equal(billing.json().scope, 'account')
  const [, claims] = billing.json().access_token.split('.')
  t.match(JSON.parse(Buffer.from(claims, 'base64url').toString()), { aud: 'billing' })
  const refused = await refreshByCookie(service, tokenOf(billing), { scope: 'admin' })
  isProblem(t, refused, 'invalid_request', ['scope'])
  t.equal(cookieOf(refused), undefined, 'the token is as good as before')
  t.equal((await refreshByCookie(service, tokenOf(billing))).statusCode, 200)
})

t.test('who asks for no cookie gets none, wherever it comes from', async (t) => {
  const service = await createService(t, { env: COOKIE_ENV })
  const { email, cookie } = await signUp(service)
  const user = { email, password: PASSWORD }
  for (const transport of [undefined, 'body']) {
    const body = transport === undefined ? {} : { transport }
    const headers = { cookie: `__Host-latchkey=${cookie}`, 'latchkey-transport': 'cookie' }
    const logIn = await service.send('POST', '/auth/login', { headers, body: { ...user, ...body } })
    const { refresh_token, access_token: token } = logIn.json()
    const again = { email: `${randomUUID()}@example.com`, password: PASSWORD }
    const answers = [
      logIn,
      await service.send('POST', '/auth/signup', { headers, body: { ...again, ...body } }),
      await service.send('POST', '/auth/refresh', { headers, body: { refresh_token, ...body } }),
      await service.send('POST', '/auth/logout', { headers, token, body }),
    ]
    t.strictSame(
      answers.map(({ statusCode }) => statusCode),
      [200, 201, 200, 204],
    )
    for (const answer of answers) t.equal(cookieOf(answer), undefined)
    isProblem(
      t,
      await service.send('POST', '/auth/refresh', { headers, body: { refresh_token: 'lkr_', ...body } }),
      'refresh_token_invalid',
    )
    isProblem(t, await service.send('POST', '/auth/refresh', { headers, body }), 'invalid_request', [
      'refresh_token',
    ])
  }
  t.equal((await refreshByCookie(service, cookie)).statusCode, 200, 'the cookie was not used')
})

t.test('the cookie and a token at once are refused, and neither is used up', async (t) => {
  const service = await createService(t, { env: COOKIE_ENV })
  const { cookie } = await signUp(service)
  const { refreshToken } = await service.signUp()
  isProblem(t, await refreshByCookie(service, cookie, { refresh_token: refreshToken }), 'invalid_request', [
    'refresh_token',
  ])
  for (const transport of ['Cookie', '', null, true, ['cookie']]) {
    isProblem(t, await refreshByCookie(service, cookie, { transport }), 'invalid_request', ['transport'])
  }
  t.equal((await refreshByCookie(service, cookie)).statusCode, 200)
  const inBody = { transport: 'body', refresh_token: refreshToken }
  t.equal((await sendFromPage(service, '/auth/refresh', { body: inBody })).statusCode, 200)
})

t.test('what is refused sets no cookie', async (t) => {
  const service = await createService(t, { env: COOKIE_ENV })
  const { email, cookie } = await signUp(service)
  const user = { email, password: PASSWORD }
  const send = (path: string, body: object) => sendFromPage(service, path, { body })
  const wrong = { ...user, password: 'another long walk' }
  for (const [code, refused] of [
    ['invalid_credentials', await send('/auth/login', wrong)],
    ['email_taken', await send('/auth/signup', user)],
    ['password_too_weak', await send('/auth/signup', { email: 'eve@example.com', password: 'password' })],
    ['token_missing', await send('/auth/logout', {})],
  ] as const) {
    t.equal(refused.json().code, code)
    t.equal(cookieOf(refused), undefined, code)
  }
  for (const method of ['HEAD', 'OPTIONS', 'GET'] as const) {
    for (const url of ['/auth/login', '/auth/refresh', '/auth/logout']) {
      const headers = { origin: COOKIE_ENV.CORS_ORIGINS, cookie: `__Host-latchkey=${cookie}` }
      const reply = await service.app.inject({ method, url, headers })
      t.equal(reply.statusCode, 405)
      t.equal(cookieOf(reply), undefined, `${method} ${url}`)
    }
  }

  const { db } = service.database
  await db.updateTable('accounts').set({ status: 'disabled' }).execute()
  const disabled = await refreshByCookie(service, cookie)
  isProblem(t, disabled, 'account_disabled')
  t.equal(cookieOf(disabled), undefined, 'and an account that may come back takes none away')

  await db.updateTable('accounts').set({ status: 'active' }).execute()
  await db.schema.alterTable('sessions').renameTo('elsewhere').execute()
  for (const broken of [await refreshByCookie(service, cookie), await send('/auth/login', user)]) {
    isProblem(t, broken, 'internal_error')
    t.equal(cookieOf(broken), undefined)
  }
  await db.schema.alterTable('elsewhere').renameTo('sessions').execute()
  t.equal((await refreshByCookie(service, cookie)).statusCode, 200, 'it was kept through all of it')
})
