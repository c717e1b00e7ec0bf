import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService, PASSWORD, type TestService } from '../helpers/service.ts'

const ORIGIN = 'https://app.example.com'
const OTHER_LISTED = 'http://localhost:5173'
const env = { CORS_ORIGINS: `${ORIGIN},${OTHER_LISTED}` }

const JSON_TYPE = { 'content-type': 'application/json' }

/** Origins that look like a listed one, or like one that should be. */
const unlisted = [
  ...['null', 'https://app.example.com.evil.example', 'https://evil.example', 'http://app.example.com'],
  ...['https://APP.example.com', 'https://app.example.com:443', 'https://app.example.com/', '*', ''],
  ...[`${ORIGIN}, ${OTHER_LISTED}`, ` ${ORIGIN}x`, `${ORIGIN}, https://evil.example`, 'file://', 'undefined'],
]

function corsHeaders({ headers }: LightMyRequestResponse): string[] {
  return Object.keys(headers).filter((name) => name.startsWith('access-control-'))
}

/** Every route of the OpenAPI document, as a method and a path. */
async function operations({ app }: TestService): Promise<[method: string, path: string][]> {
  const { paths } = (await app.inject('/openapi.json')).json()
  const all = Object.entries<object>(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [
      method.toUpperCase(),
      path.replace(/{\w+}/, '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071'),
    ]),
  )
  if (all.length < 15) throw new Error(`only ${all.length} operations`)
  return [...all, ['GET', '/openapi.json']]
}

const preflightOf = (method: string) => ({
  origin: ORIGIN,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type',
})

t.test('where there are no origins, there is no CORS', async (t) => {
  const service = await createService(t)
  for (const [method, url] of await operations(service)) {
    for (const headers of [{ origin: ORIGIN }, { origin: 'null' }]) {
      const reply = await service.app.inject({ method: method as 'GET', url, headers })
      t.strictSame(corsHeaders(reply), [], `${method} ${url}`)
      t.notOk('vary' in reply.headers)
    }
    const preflight = await service.app.inject({ method: 'OPTIONS', url, headers: preflightOf(method) })
    t.equal(preflight.statusCode, 405, `OPTIONS ${url}`)
    t.strictSame(corsHeaders(preflight), [])
  }
})

t.test('a page of a listed origin can read every answer', async (t) => {
  const service = await createService(t, { env })
  for (const origin of [ORIGIN, OTHER_LISTED]) {
    for (const [method, url] of await operations(service)) {
      const reply = await service.app.inject({ method: method as 'GET', url, headers: { origin } })
      isReadable(t, reply, origin, `${method} ${url} ${reply.statusCode}`)
    }
  }
})

function isReadable(t: Test, { headers }: LightMyRequestResponse, origin: string, what: string): void {
  t.equal(headers['access-control-allow-origin'], origin, what)
  t.equal(headers.vary, 'Origin')
  t.equal(
    headers['access-control-expose-headers'],
    'Date, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id',
  )
  t.equal(headers['access-control-allow-credentials'], 'true')
}

t.test('and every kind of error', async (t) => {
  const service = await createService(t, { env: { ...env, ATTEMPTS_PER_ADDRESS: '3' } })
  const { email, accessToken: token } = await service.signUp()
  const headers = { origin: ORIGIN }
  const login = (payload: string, type = 'application/json') =>
    service.app.inject({
      method: 'POST',
      url: '/auth/login',
      headers: { ...headers, 'content-type': type },
      payload,
    })
  const statuses = new Set<number>()
  const check = (reply: LightMyRequestResponse) => {
    statuses.add(reply.statusCode)
    isReadable(t, reply, ORIGIN, String(reply.statusCode))
  }

  check(await login('{'))
  check(await login('{}', 'text/plain'))
  check(await login(`{"email":"${'x'.repeat(20_000)}"}`))
  check(await service.send('GET', '/me', { headers }))
  check(await service.send('GET', '/me', { headers, token: 'x.y.z' }))
  check(await service.send('GET', '/admin/accounts', { headers, token }))
  check(await service.send('GET', '/nothing', { headers }))
  check(await service.send('DELETE', '/me', { headers }))
  check(await service.app.inject({ method: 'OPTIONS', url: '/me', headers }))
  const weak = { email: 'eve@example.com', password: 'password' }
  check(await service.send('POST', '/auth/signup', { headers, body: weak }))
  for (let attempt = 0; attempt < 6; attempt++)
    check(await login(JSON.stringify({ email, password: 'wrong one' })))
  await service.database.db.schema.dropTable('sessions').execute()
  check(await service.send('GET', '/account/sessions', { headers, token }))
  const expected = [400, 401, 403, 404, 405, 413, 415, 422, 429, 500]
  t.strictSame([...statuses].sort(), expected)
})

t.test("nobody else's page can", async (t) => {
  const service = await createService(t, { env })
  for (const origin of unlisted) {
    for (const [method, url] of [
      ['GET', '/livez'],
      ['GET', '/me'],
      ['GET', '/nothing'],
      ['POST', '/auth/login'],
    ] as const) {
      const reply = await service.app.inject({ method, url, headers: { origin } })
      t.strictSame(corsHeaders(reply), [], `${origin} ${method} ${url}`)
      t.equal(reply.headers.vary, 'Origin')
      const headers = { ...preflightOf(method), origin }
      const preflight = await service.app.inject({ method: 'OPTIONS', url, headers })
      t.strictSame(corsHeaders(preflight), [])
      t.equal(preflight.statusCode, url === '/nothing' ? 404 : 405, 'there is no OPTIONS')
    }
  }
})

t.test('who calls from no page is answered as ever', async (t) => {
  const service = await createService(t, { env })
  for (const [method, url] of await operations(service)) {
    const reply = await service.app.inject({ method: method as 'GET', url })
    t.strictSame(corsHeaders(reply), [])
    t.notOk('vary' in reply.headers)
    t.equal((await service.app.inject({ method: 'OPTIONS', url })).statusCode, 405)
  }
})

t.test('a preflight needs no token, and is good for two hours', async (t) => {
  const service = await createService(t, { env })
  for (const [method, url] of [...(await operations(service)), ['GET', '/nothing']] as const) {
    const reply = await service.app.inject({ method: 'OPTIONS', url, headers: preflightOf(method) })
    t.equal(reply.statusCode, 204, `${method} ${url}`)
    t.equal(reply.body, '')
    t.match(reply.headers, {
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-credentials': 'true',
      'access-control-allow-headers': 'Authorization, Content-Type, Latchkey-Transport, X-Request-Id',
      'access-control-max-age': '7200',
      vary: 'Origin',
    })
    const methods = String(reply.headers['access-control-allow-methods']).split(', ')
    t.ok(methods.includes(method), method)
    t.strictSame(corsHeaders(reply).length, 5, 'and nothing else')
  }
  t.strictSame(service.events('login_failed'), [])
})

t.test('over the wire it is the same', async (t) => {
  const service = await createService(t, { env })
  const url = await service.app.listen({ port: 0, host: '127.0.0.1' })
  const { accessToken } = await service.signUp()
  const preflight = await fetch(`${url}/me`, { method: 'OPTIONS', headers: preflightOf('GET') })
  t.equal(preflight.status, 204)
  t.equal(preflight.headers.get('access-control-allow-origin'), ORIGIN)

  const authorization = `Bearer ${accessToken}`
  const me = await fetch(`${url}/me`, { headers: { origin: ORIGIN, authorization } })
  t.equal(me.status, 200)
  t.equal(me.headers.get('access-control-allow-origin'), ORIGIN)
  t.ok(me.headers.get('date'), 'with the time, for clients whose clock is off')

  const signUp = await fetch(`${url}/auth/signup`, {
    method: 'POST',
    headers: { origin: ORIGIN, ...JSON_TYPE },
    body: JSON.stringify({ email: 'ada@example.com', password: PASSWORD }),
  })
  t.equal(signUp.status, 201)
  t.equal(signUp.headers.get('location'), '/account')
  t.equal(signUp.headers.get('access-control-allow-origin'), ORIGIN)

  const twice = connectRaw(t, service.app)
  twice.send(
    `GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: ${ORIGIN}\r\nOrigin: ${ORIGIN}\r\n\r\n`,
  )
  const { status, headers } = parseResponse(await twice.closed())
  t.equal(status, 200)
  t.notOk('access-control-allow-origin' in headers, 'an Origin that is sent twice is none')
})
