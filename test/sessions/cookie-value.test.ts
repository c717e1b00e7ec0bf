import fc from 'fast-check'
import t, { type Test } from 'tap'
import {
  COOKIE_ENV,
  COOKIE_HEADERS,
  cookieOf,
  refreshByCookie,
  sendFromPage,
  tokenOf,
} from '../helpers/cookie-mode.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

async function signUp(service: TestService, email = 'ada@example.com'): Promise<string> {
  return tokenOf(await sendFromPage(service, '/auth/signup', { body: { email, password: PASSWORD } }))
}

async function signedUp(t: Test, env: Record<string, string> = {}) {
  const service = await createService(t, { env: { ...COOKIE_ENV, ...env } })
  return { service, cookie: await signUp(service) }
}

const refreshWith = (service: TestService, cookie: string) =>
  sendFromPage(service, '/auth/refresh', { cookie })

t.test('among other cookies it is found, by its name alone', async (t) => {
  const { service, cookie: first } = await signedUp(t)
  let token = first
  for (const header of [
    (pair: string) => `a=b; ${pair}; c=d`,
    (pair: string) => `a=b;${pair}`,
    (pair: string) => `  ${pair}  ;`,
    (pair: string) => `latchkey=x; __host-latchkey=x; __Host-latchkey2=x; ${pair}`,
    (pair: string) => `a; =; ;; ${pair}; "`,
    (pair: string) => `=__Host-latchkey=x; ${pair}`,
    // Browsers take from a subdomain what only begins with a space of Unicode: whoever trimmed it would mix them up.
    (pair: string) => `\xa0__Host-latchkey=x; \xe2\x80\x80__Host-latchkey=x; ${pair}; __Host-latchkey\xa0=x`,
  ]) {
    const reply = await refreshWith(service, header(`__Host-latchkey=${token}`))
    t.equal(reply.statusCode, 200, header('...'))
    token = tokenOf(reply)
  }
})

t.test('who has no cookie is not signed in, and guesses nothing', async (t) => {
  const { service } = await signedUp(t, { ATTEMPTS_PER_ADDRESS: '2' })
  const attempts = () => service.database.db.selectFrom('attempts').selectAll().execute()
  const before = await attempts()
  const others = ['', ';', 'a=b', '__Host-latchkey', '__host-latchkey=lkr_x', 'x__Host-latchkey=lkr_x']
  for (const cookie of [undefined, ...others]) {
    const reply = await sendFromPage(service, '/auth/refresh', cookie === undefined ? {} : { cookie })
    isProblem(t, reply, 'refresh_token_invalid')
    t.match(reply.headers['www-authenticate'], /^Bearer realm="latchkey", error="invalid_token", /)
    // What a log-in in another tab has set meanwhile stays.
    t.equal(cookieOf(reply), undefined, 'there is none to remove')
  }
  t.strictSame(await attempts(), before)
})

t.test('two of its name are refused, and which is whose is not tried', async (t) => {
  const { service, cookie } = await signedUp(t)
  const eve = await signUp(service, 'eve@example.com')
  for (const [one, other] of [
    [cookie, eve],
    [eve, cookie],
    [cookie, cookie],
    [cookie, ''],
    ['', cookie],
    ['x', 'x'],
  ]) {
    const reply = await refreshWith(service, `__Host-latchkey=${one}; a=b; __Host-latchkey=${other}`)
    isProblem(t, reply, 'invalid_request')
    t.equal(cookieOf(reply), undefined, 'nor is ours removed, which would leave the other')
  }
  t.equal((await refreshByCookie(service, cookie)).statusCode, 200)
  t.equal((await refreshByCookie(service, eve)).statusCode, 200)
})

for (const database of databases) {
  t.test(`a made-up cookie ends nothing and is removed, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: COOKIE_ENV })
    const cookie = await signUp(service)
    for (const wrong of [
      ...['', 'x', 'lkr_', cookie.slice(0, -1), `${cookie}x`, cookie.slice(4), cookie.toUpperCase()],
      ...[`"${cookie}"`, `%6c${cookie.slice(1)}`, encodeURIComponent(`${cookie}=`), `${cookie},${cookie}`],
      ...[`${cookie} ${cookie}`, cookie.replace('lkr_', 'lkc_'), '%', '%zz', 'x'.repeat(12_000)],
    ]) {
      const reply = await refreshByCookie(service, wrong)
      isProblem(t, reply, 'refresh_token_invalid')
      t.equal(cookieOf(reply)?.maxAge, 0, wrong.slice(0, 100))
    }
    t.equal((await refreshByCookie(service, cookie)).statusCode, 200)
  })

  t.test(`wrong cookies are counted as wrong tokens are, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { ...COOKIE_ENV, ATTEMPTS_PER_ADDRESS: '3' } })
    const cookie = await signUp(service)
    const inBody = () => service.send('POST', '/auth/refresh', { body: { refresh_token: 'lkr_x' } })
    isProblem(t, await refreshByCookie(service, 'lkr_x'), 'refresh_token_invalid')
    isProblem(t, await inBody(), 'refresh_token_invalid')
    isProblem(t, await refreshByCookie(service, 'lkr_y'), 'refresh_token_invalid')
    const refused = await refreshByCookie(service, 'lkr_z')
    isProblem(t, refused, 'too_many_attempts')
    t.equal(cookieOf(refused), undefined)
    isProblem(t, await inBody(), 'too_many_attempts')
    t.equal((await refreshByCookie(service, cookie)).statusCode, 200, 'who has a right one is not held back')
  })
}

t.test('thousands of cookies cost next to nothing, and more than the headers hold are cut off', async (t) => {
  const { service, cookie } = await signedUp(t)
  const url = await service.app.listen({ port: 0, host: '127.0.0.1' })
  const refresh = (header: string) =>
    fetch(`${url}/auth/refresh`, {
      method: 'POST',
      headers: { ...COOKIE_HEADERS, 'content-type': 'application/json', cookie: header },
      body: '{"transport":"cookie"}',
    })
  const begun = performance.now()
  const crowded = await refresh(`${'a;'.repeat(7_500)}__Host-latchkey=${cookie}`)
  t.equal(crowded.status, 200)
  t.ok(performance.now() - begun < 3_000)
  const large = await refresh(`a=${'x'.repeat(16_384)}; __Host-latchkey=${cookie}`)
  t.equal(large.status, 431)
  t.equal(large.headers.get('set-cookie'), null)
})

t.test('no Cookie header makes a refresh fail', async (t) => {
  const { service } = await signedUp(t)
  const pair = fc.tuple(
    fc.constantFrom('__Host-latchkey', '__Host-latchkey ', '', '__proto__', 'constructor', '$Version', 'a'),
    fc.constantFrom('=', '==', '', ' = ', '\t=\t'),
    fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e\xa0-\xff]/g, '')),
  )
  const property = fc.asyncProperty(
    fc.array(pair, { maxLength: 6 }),
    fc.constantFrom(';', '; ', ','),
    async (pairs, between) => {
      const { statusCode } = await refreshWith(service, pairs.map((parts) => parts.join('')).join(between))
      return statusCode === 401 || statusCode === 400
    },
  )
  await t.resolves(fc.assert(property, { numRuns: 300 }))
})
