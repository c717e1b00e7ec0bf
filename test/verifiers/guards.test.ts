import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { Problem } from '../../src/problem.ts'
import type { Verify } from '../../src/tokens/verifier.ts'
import type { Needs } from '../../src/verifiers/admission.ts'
import { guard as expressGuard } from '../../src/verifiers/express.ts'
import latchkey from '../../src/verifiers/fastify.ts'
import { createVerifier, type Verifier } from '../../src/verifiers/verifier.ts'
import { guard as webGuard } from '../../src/verifiers/web.ts'
import { CREDENTIAL } from '../helpers/feed-server.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { hostileTokens } from '../helpers/hostile-tokens.ts'
import { connectPort, parseResponse } from '../helpers/raw-http.ts'
import { createService, SECRET } from '../helpers/service.ts'

const options = { secret: SECRET, issuer: 'http://localhost:3000', audience: 'latchkey' }

interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends a request with these header fields to whatever is guarded so, and reads the answer. */
type Ask = (fields: readonly (readonly [string, string])[]) => Promise<Answered>

async function askPort(t: Test, port: number, fields: Parameters<Ask>[0], path = '/'): Promise<Answered> {
  const connection = connectPort(t, port)
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  connection.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${lines}\r\n`)
  return parseResponse(await connection.closed())
}

/** Services that answer the claims, each guarded by one of the packages. */
const services: Record<string, (t: Test, verify: Verifier, needs?: Needs) => Promise<Ask>> = {
  async fastify(t, verifier, needs) {
    const app = Fastify({ genReqId: (request) => String(request.headers['x-request-id'] ?? 'made') })
    await app.register(latchkey, { verifier })
    app.get('/', { onRequest: app.latchkey.guard(needs) }, (request) => request.user)
    t.teardown(() => app.close())
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (fields) => askPort(t, (app.server.address() as AddressInfo).port, fields)
  },

  async express(t, verify, needs) {
    const app = express()
    app.use(expressGuard(verify, needs))
    app.get('/', (request, response) => {
      response.json(request.user)
    })
    const server = createServer(app)
    t.teardown(() => server.close())
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    return (fields) => askPort(t, (server.address() as AddressInfo).port, fields)
  },

  async web(_, verify, needs) {
    const check = webGuard(verify, needs)
    return async (fields) => {
      const headers = new Headers()
      for (const [name, value] of fields) headers.append(name, value)
      const result = check(new Request('http://localhost/', { headers }))
      const response = result instanceof Response ? result : Response.json(result.claims)
      const { status, headers: answered } = response
      return { status, headers: Object.fromEntries(answered), body: await response.text() }
    }
  },
}

const bearer = (token: string) => [['Authorization', `Bearer ${token}`]] as const

/** The parts of an answer that a guard decides on. */
function decided({ status, headers, body }: Answered) {
  const named = ['content-type', 'www-authenticate', 'retry-after', 'cache-control', 'x-request-id']
  const own = named.map((name) => [name, headers[name]])
  return { status, headers: Object.fromEntries(own), body: JSON.parse(body) }
}

for (const [name, serve] of Object.entries(services)) {
  t.test(`${name}: who is let in is known by the claims`, async (t) => {
    const ask = await serve(t, createVerifier(options))
    const claims = goodClaims(Date.now())
    const token = handMade(goodHeader, claims)
    for (const fields of [bearer(token), [['authorization', `bEARER  ${token}`]] as const]) {
      const { status, body } = await ask(fields)
      t.equal(status, 200)
      t.same(JSON.parse(body), claims)
    }
  })

  t.test(`${name}: what is refused is answered as by the API itself`, async (t) => {
    const service = await createService(t)
    await service.app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = service.app.server.address() as AddressInfo
    const ask = await serve(t, createVerifier({ ...options, clock: service.clock }))
    const { good, table } = hostileTokens(service.clock())
    const asRequests = [
      [],
      [['Authorization', '']],
      [['Authorization', 'Bearer']],
      [['Authorization', `Basic ${good}`]],
      [['Authorization', good]],
      [['Authorization', `Bearer, ${good}`]],
      [...bearer(good), ...bearer(good)],
      [...bearer(good), ['AUTHORIZATION', '']],
      [...bearer('x'), ...bearer(good)],
      [['Authorization', 'Basic eA=='], ...bearer(good)],
      ...table
        // What can't stand in a header reaches no guard.
        .filter(([, token]) => /^[\x20-\x7e\t]+$/.test(token))
        .map(([, token]) => bearer(token)),
    ] as Parameters<Ask>[0][]
    t.ok(asRequests.length > 120)
    for (const fields of asRequests) {
      const all = [...fields, ['X-Request-Id', 'the.one-and_only']] as const
      const [said, api] = [decided(await ask(all)), decided(await askPort(t, port, all, '/me'))]
      t.strictSame(said, api, JSON.stringify(fields))
      t.equal(said.body.request_id, 'the.one-and_only')
    }
  })

  t.test(`${name}: a role and a scope can be asked for`, async (t) => {
    const ask = await serve(t, createVerifier(options), { role: 'admin', scope: 'orders:write' })
    const asked = async (roles: string[], scope: string) =>
      decided(await ask(bearer(handMade(goodHeader, { ...goodClaims(Date.now()), roles, scope }))))
    t.match(await asked(['user', 'admin'], 'orders:read orders:write'), { status: 200 })
    const refused = (error: string) => ({
      status: 403,
      headers: { 'www-authenticate': `Bearer realm="latchkey", error="insufficient_scope", ${error}` },
    })
    t.match(await asked(['user'], 'orders:write'), {
      ...refused('error_description="This needs the role admin.", scope="admin"'),
      body: { code: 'insufficient_role', type: 'urn:latchkey:problem:insufficient_role' },
    })
    t.match(await asked(['admin'], 'orders:writer'), {
      ...refused('error_description="This needs the scope orders:write.", scope="orders:write"'),
      body: { code: 'insufficient_scope' },
    })
    t.match(decided(await ask([])), { status: 401, body: { code: 'token_missing' } })
  })

  t.test(`${name}: closed over open answers 503 until the revocations are known`, async (t) => {
    const onError = () => {}
    const feed = { url: 'http://127.0.0.1:1', credential: CREDENTIAL, onError }
    const verify = createVerifier({ ...options, feed, maxStaleness: 3 })
    t.teardown(() => verify.close())
    const ask = await serve(t, verify)
    t.match(decided(await ask(bearer(handMade(goodHeader, goodClaims(Date.now()))))), {
      status: 503,
      headers: { 'retry-after': '1', 'content-type': 'application/problem+json; charset=utf-8' },
      body: { code: 'revocations_stale', status: 503 },
    })
    t.match(decided(await ask(bearer('x'))), { status: 401, body: { code: 'token_invalid' } })
  })

  t.test(`${name}: a request without an id of its own gets one`, async (t) => {
    const ask = await serve(t, createVerifier(options))
    for (const fields of [[], [['x-request-id', '<script>']]] as const) {
      const { headers, body } = decided(await ask(fields))
      t.equal(headers['x-request-id'], body.request_id)
      if (name !== 'fastify') t.match(body.request_id, /^[\da-f-]{36}$/)
    }
  })
}

t.test('what is no refusal goes to whoever handles errors', async (t) => {
  const broken = (() => {
    throw new RangeError('broken')
  }) as unknown as Verifier
  const headers = { authorization: 'Bearer x' }

  const app = Fastify()
  await app.register(latchkey, { verifier: broken })
  app.get('/', { onRequest: app.latchkey.guard() }, () => 'never')
  t.match((await app.inject({ url: '/', headers })).json(), { statusCode: 500, message: 'broken' })

  const middleware = expressGuard(broken)
  const request = { headers, rawHeaders: ['Authorization', 'Bearer x'] }
  t.throws(() => middleware(request as never, {} as never, () => t.fail('it went on')), { message: 'broken' })

  t.throws(() => webGuard(broken)(new Request('http://localhost', { headers })), { message: 'broken' })
})

t.test('fastify: the guard is for a scope or a route, also beside the one that registered it', async (t) => {
  const app = Fastify()
  app.register(latchkey, options)
  app.register(async (scope) => {
    scope.addHook('onRequest', scope.latchkey.guard({ role: 'user' }))
    scope.get('/guarded', ({ user }) => user.sub)
  })
  app.get('/open', ({ user }) => String(user))
  await app.ready()
  const claims = goodClaims(Date.now())
  const headers = { authorization: `Bearer ${handMade(goodHeader, claims)}` }
  t.equal((await app.inject({ url: '/guarded', headers })).body, claims.sub)
  t.equal((await app.inject('/guarded')).statusCode, 401)
  t.equal((await app.inject({ url: '/open', headers })).body, 'undefined')
  await app.close()
})

t.test('fastify: a verifier of its own is closed with the app, another is not', async (t) => {
  const feed = { url: 'http://127.0.0.1:1', credential: CREDENTIAL, onError: () => {} }
  const verifier = createVerifier({ ...options, feed })
  t.teardown(() => verifier.close())
  const closed: string[] = []
  const own = Fastify()
  await own.register(latchkey, { ...options, feed })
  own.latchkey.verify.ready.catch(() => closed.push('own'))
  const given = Fastify()
  await given.register(latchkey, { verifier })
  verifier.ready.catch(() => closed.push('given'))
  t.equal(given.latchkey.verify, verifier)
  await Promise.all([own.close(), given.close()])
  t.strictSame(closed, ['own'])
})

t.test('fastify: it stands beside a plugin that has request.user already, and says what it is', async (t) => {
  const app = Fastify()
  app.decorateRequest('user')
  await app.register(latchkey, options)
  t.ok(app.hasDecorator('latchkey'))
  t.ok(app.hasPlugin('latchkey'))
  await t.rejects(async () => Fastify().register(latchkey, { ...options, secret: 'x' }), {
    name: 'TypeError',
  })
})

t.test('fastify: a response schema of the route does not reach the refusal', async (t) => {
  const app = Fastify()
  await app.register(latchkey, options)
  const schema = { response: { 401: { type: 'object', properties: { title: { type: 'string' } } } } }
  app.get('/', { schema, onRequest: app.latchkey.guard() }, () => 'never')
  t.equal((await app.inject('/')).json().code, 'token_missing')
})

t.test('express: servers that give no raw headers are served', async (t) => {
  const claims = goodClaims(Date.now())
  const request: Parameters<ReturnType<typeof expressGuard>>[0] = Object.assign(
    { headers: { authorization: `Bearer ${handMade(goodHeader, claims)}` }, rawHeaders: [] },
    {} as never,
  )
  let went = false
  expressGuard(createVerifier(options))(request, {} as never, () => {
    went = true
  })
  t.ok(went)
  t.same(request.user, claims)
})

t.test('a guard takes any verify, with nothing around it', async (t) => {
  const verify: Verify = () => {
    throw new Problem('token_revoked')
  }
  const result = webGuard(verify)({ headers: new Headers({ authorization: 'Bearer x' }) })
  t.ok(result instanceof Response && result.status === 401)
})
