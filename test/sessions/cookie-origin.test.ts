import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { allEvents } from '../helpers/audit.ts'
import {
  COOKIE_ENV,
  COOKIE_HEADERS,
  cookieOf,
  PAGE,
  refreshByCookie,
  sendFromPage,
  tokenOf,
} from '../helpers/cookie-mode.ts'
import { isProblem } from '../helpers/problems.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService, PASSWORD, type TestService } from '../helpers/service.ts'

const USER = { email: 'ada@example.com', password: PASSWORD }

/** Origins that a page of somebody else's may have, and ways to write one that is listed. */
const refusedOrigins = [
  ...[
    'null',
    '',
    '*',
    'https://evil.example',
    'https://app.example.com.evil.example',
    'file://',
    'undefined',
  ],
  ...['http://app.example.com', 'https://APP.example.com', 'HTTPS://app.example.com', `${PAGE}/`, `${PAGE}.`],
  ...[`${PAGE}:443`, `${PAGE}:8443`, `${PAGE}, ${PAGE}`, `${PAGE}, https://evil.example`, `${PAGE}\0`],
  // On the same site, from where browsers do send the cookie: a subdomain that was taken over, a parent.
  ...['https://old.app.example.com', 'https://example.com', 'https://other.example.com'],
  ...['http://auth.example.com', 'https://auth.example.com/', 'https://auth.example.com:8443'],
]

const refusedTransports = ['Cookie', 'COOKIE', 'body', '', '*', 'cookie, cookie', 'cookie,', 'true']

/** Headers that don't get a page in, by what is wrong with them. */
const refusedHeaders: readonly (readonly [what: string, headers: Record<string, string>])[] = [
  ['nothing', {}],
  ['no Origin', { 'latchkey-transport': 'cookie' }],
  ['no Origin but a Referer', { 'latchkey-transport': 'cookie', referer: `${PAGE}/` }],
  ['no header', { origin: PAGE }],
  ...refusedOrigins.map((origin) => [`Origin ${origin}`, { ...COOKIE_HEADERS, origin }] as const),
  ...refusedTransports.map(
    (value) => [`Latchkey-Transport ${value}`, { origin: PAGE, 'latchkey-transport': value }] as const,
  ),
]

async function signedUp(t: Test, env: Record<string, string> = {}) {
  const service = await createService(t, { env: { ...COOKIE_ENV, ...env } })
  const reply = await sendFromPage(service, '/auth/signup', { body: USER })
  return { service, cookie: tokenOf(reply), token: reply.json().tokens.access_token as string }
}

/** Everything that takes `transport: "cookie"`, asked as it would succeed but for the headers. */
function askAll(service: TestService, headers: Record<string, string>, cookie: string, token: string) {
  const options = { headers: { ...headers, cookie: `__Host-latchkey=${cookie}` }, token }
  const send = (path: string, body: object = {}) =>
    service.send('POST', path, { ...options, body: { transport: 'cookie', ...body } })
  return Promise.all([
    send('/auth/signup', { email: 'eve@example.com', password: PASSWORD }),
    send('/auth/login', USER),
    send('/auth/login', { ...USER, password: 'a wrong one' }),
    send('/auth/refresh'),
    send('/auth/logout'),
    send('/auth/logout', { scope: 'all' }),
  ])
}

t.test("nobody else's page can sign anybody in, use a session or end it", async (t) => {
  const { service, cookie, token } = await signedUp(t)
  const { db } = service.database
  const written = async () => [await allEvents(db), await db.selectFrom('attempts').selectAll().execute()]
  const before = await written()
  const logged = service.log.length
  for (const [what, headers] of refusedHeaders) {
    for (const reply of await askAll(service, headers, cookie, token)) {
      isProblem(t, reply, 'origin_not_allowed')
      t.equal(cookieOf(reply), undefined, what)
    }
  }
  t.strictSame(await written(), before, 'nothing was tried')
  t.strictSame(service.log.slice(logged), [])
  t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
  t.equal((await refreshByCookie(service, cookie)).statusCode, 200)
})

t.test('and can read no answer, as nothing of CORS comes with it', async (t) => {
  const { service, cookie, token } = await signedUp(t)
  const isSilent = ({ headers }: LightMyRequestResponse) =>
    Object.keys(headers).every((name) => !name.startsWith('access-control-'))
  const headers = { ...COOKIE_HEADERS, origin: 'https://evil.example' }
  for (const reply of await askAll(service, headers, cookie, token)) t.ok(isSilent(reply))
  const preflight = await service.app.inject({
    method: 'OPTIONS',
    url: '/auth/refresh',
    headers: {
      origin: 'https://evil.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,latchkey-transport',
    },
  })
  t.equal(preflight.statusCode, 405)
  t.ok(isSilent(preflight))
})

t.test('a form can ask for nothing at all', async (t) => {
  const { service, cookie } = await signedUp(t)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const reply = await service.app.inject({
      method: 'POST',
      url: '/auth/refresh',
      headers: { 'content-type': type, origin: 'null', cookie: `__Host-latchkey=${cookie}` },
      payload: '{"transport":"cookie"}',
    })
    isProblem(t, reply, 'unsupported_media_type')
  }
  t.equal((await refreshByCookie(service, cookie)).statusCode, 200)
})

t.test('a listed page passes the preflight, and reads what it is told', async (t) => {
  const { service, cookie } = await signedUp(t)
  const preflight = await service.app.inject({
    method: 'OPTIONS',
    url: '/auth/refresh',
    headers: {
      origin: PAGE,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,latchkey-transport',
    },
  })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, {
    'access-control-allow-origin': PAGE,
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': /\bLatchkey-Transport\b/,
  })
  for (const reply of [
    await refreshByCookie(service, cookie),
    await refreshByCookie(service, 'lkr_wrong'),
    await service.send('POST', '/auth/refresh', { body: { transport: 'cookie' }, headers: { origin: PAGE } }),
  ]) {
    t.equal(reply.headers['access-control-allow-origin'], PAGE, String(reply.statusCode))
    t.equal(reply.headers['access-control-allow-credentials'], 'true')
  }
})

t.test("the service's own pages are let in, by the origin of JWT_ISSUER", async (t) => {
  for (const [issuer, origin] of [
    ['https://auth.example.com', 'https://auth.example.com'],
    ['https://auth.example.com/realms/one', 'https://auth.example.com'],
    ['https://AUTH.example.com:443/', 'https://auth.example.com'],
    ['HTTP://localhost:4000', 'http://localhost:4000'],
  ] as const) {
    const service = await createService(t, { env: { JWT_ISSUER: issuer } })
    const headers = { ...COOKIE_HEADERS, origin }
    const reply = await sendFromPage(service, '/auth/signup', { body: USER, headers })
    t.equal(reply.statusCode, 201, issuer)
    t.equal(tokenOf(reply).slice(0, 4), 'lkr_')
    t.notOk('access-control-allow-origin' in reply.headers, 'which takes no CORS')
    isProblem(t, await sendFromPage(service, '/auth/login', { body: USER }), 'origin_not_allowed')
  }
})

t.test('an issuer that is no address of pages lets nobody in', async (t) => {
  for (const issuer of [
    'urn:latchkey',
    'latchkey',
    'https://',
    'file:///latchkey',
    'data:text/html,x',
    'null',
  ]) {
    const service = await createService(t, { env: { JWT_ISSUER: issuer } })
    for (const origin of ['null', issuer, '', 'file://', 'http://localhost:3000']) {
      const headers = { ...COOKIE_HEADERS, origin }
      isProblem(t, await sendFromPage(service, '/auth/login', { body: USER, headers }), 'origin_not_allowed')
    }
  }
})

t.test('over the wire, headers that are sent twice are none', async (t) => {
  const { service, cookie } = await signedUp(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const ask = async (...lines: string[]) => {
    const connection = connectRaw(t, service.app)
    const body = '{"transport":"cookie"}'
    const head = [
      'POST /auth/refresh HTTP/1.1',
      ...['Host: x', 'Connection: close', 'Content-Type: application/json', `Content-Length: ${body.length}`],
      ...lines,
    ]
    connection.send(`${head.join('\r\n')}\r\n\r\n${body}`)
    return parseResponse(await connection.closed())
  }
  const origin = `Origin: ${PAGE}`
  const transport = 'Latchkey-Transport: cookie'
  const sent = `Cookie: __Host-latchkey=${cookie}`
  for (const lines of [
    [origin, origin, transport, sent],
    [origin, 'Origin: https://evil.example', transport, sent],
    [origin, transport, transport, sent],
  ]) {
    const { status, body } = await ask(...lines)
    t.equal(status, 403)
    t.equal(JSON.parse(body).code, 'origin_not_allowed')
  }
  const twice = await ask(origin, transport, sent, 'Cookie: __Host-latchkey=lkr_other')
  t.equal(twice.status, 400)
  t.notOk('set-cookie' in twice.headers)
  // HTTP/2 proxies split the field into its pairs (RFC 9113 section 8.2.3).
  const split = await ask(origin, transport, 'Cookie: a=b', sent, 'cookie: c=d')
  t.equal(split.status, 200)
  t.match(split.headers['set-cookie'], /^__Host-latchkey=lkr_[\w-]{86}; /)
})
