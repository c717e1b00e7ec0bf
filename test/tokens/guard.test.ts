import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import Fastify, { type onRequestHookHandler } from 'fastify'
import t, { type Test } from 'tap'
import { handleError } from '../../src/http/errors.ts'
import { createGuard, requireRole, requireScope } from '../../src/tokens/guard.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { createService } from '../helpers/service.ts'

const BARE = 'Bearer realm="latchkey"'

/** An app with three guarded routes, the last two for some only. */
async function guardedApp(t: Test, wrap = (hook: onRequestHookHandler) => hook) {
  const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }
  const clock = Date.now
  const keyring = await createKeyring([SECRET_BYTES], parties)
  const verify = createVerifier({ keyring, revocations: createRevocations(clock), clock, ...parties })
  const app = Fastify()
  app.setErrorHandler(handleError)
  app.decorateRequest('user')
  app.addHook('onRequest', wrap(createGuard(verify)))
  app.route({ method: ['GET', 'POST'], url: '/', handler: async ({ user }) => user })
  app.get('/role', { onRequest: wrap(requireRole('admin')) }, async ({ user }) => user)
  app.get('/scope', { onRequest: wrap(requireScope('revocations:read')) }, async ({ user }) => user)
  t.teardown(() => app.close())
  return {
    app,
    ask: (url: string, authorization?: string) =>
      app.inject({ url, headers: authorization === undefined ? {} : { authorization } }),
  }
}

const token = (change: object = {}) => handMade(goodHeader, { ...goodClaims(Date.now()), ...change })

t.test('the scheme is read in any case, and several spaces may follow it', async (t) => {
  const { ask } = await guardedApp(t)
  for (const scheme of ['Bearer ', 'bearer ', 'BEARER ', 'bEaReR ', 'Bearer  ', 'Bearer      ']) {
    t.equal((await ask('/', scheme + token())).statusCode, 200, JSON.stringify(scheme))
  }
})

t.test('the handler gets the claims', async (t) => {
  const { ask } = await guardedApp(t)
  t.match((await ask('/', `Bearer ${token({ sub: 'ada' })}`)).json(), { sub: 'ada', roles: ['user'] })
})

t.test('no token, or another scheme, is told that a token is needed, and no error', async (t) => {
  const { ask } = await guardedApp(t)
  for (const header of [undefined, 'Basic YWRhOmxvdmVsYWNl', 'Negotiate', 'Token abc', `JWT ${token()}`]) {
    const reply = await ask('/', header)
    t.equal(reply.statusCode, 401, header ?? 'none')
    t.equal(reply.json().code, 'token_missing')
    t.equal(reply.headers['www-authenticate'], BARE)
  }
})

t.test('a malformed header is a bad request', async (t) => {
  const { ask } = await guardedApp(t)
  const good = token()
  const headers = [
    ...[
      '',
      ' ',
      'Bearer',
      'Bearer ',
      `Bearer${' '.repeat(17)}${good}`,
      `Bearer\t${good}`,
      ` Bearer ${good}`,
      `Bearer ${good} `,
      `Bearer ${good} x`,
    ],
    ...[
      `Bearer ${good},`,
      `Bearer ${good}, Bearer ${good}`,
      `Bearer,${good}`,
      `"Bearer" ${good}`,
      `Bearer: ${good}`,
    ],
  ]
  for (const header of headers) {
    const reply = await ask('/', header)
    t.equal(reply.statusCode, 400, JSON.stringify(header.replaceAll(good, '...')))
    t.equal(reply.json().code, 'invalid_request')
    t.match(
      String(reply.headers['www-authenticate']),
      /^Bearer realm="latchkey", error="invalid_request", error_desc/,
    )
  }
})

t.test('a header that is sent twice is a bad request, also where both are the same', async (t) => {
  const { app, signUp } = await createService(t)
  const { accessToken } = await signUp()
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const ask = async (...headers: string[]) => {
    const socket = connect(Number(port), '127.0.0.1')
    socket.end(['GET /me HTTP/1.1', 'Host: localhost', 'Connection: close', ...headers, '', ''].join('\r\n'))
    return text(socket)
  }
  const mine = `Authorization: Bearer ${accessToken}`
  t.match(await ask(mine), /^HTTP\/1\.1 200 /, 'once it gets in')
  t.match(
    await ask(`authorization:bearer   ${accessToken}   `),
    /^HTTP\/1\.1 200 /,
    'however the field is written',
  )
  for (const twice of [
    [mine, mine],
    [mine, 'authorization: Basic YWRhOmxvdmVsYWNl'],
    ['Authorization: Basic YWRhOmxvdmVsYWNl', mine],
    [mine, 'Authorization:'],
    ['Authorization:', mine],
  ]) {
    const reply = await ask(...twice)
    t.match(reply, /^HTTP\/1\.1 400 /, twice.map((line) => line.slice(0, 24)).join(' and '))
    t.match(reply, /\r\nwww-authenticate: Bearer realm="latchkey", error="invalid_request"/i)
  }
})

t.test('a token anywhere but in Authorization is not looked at', async (t) => {
  const { app } = await guardedApp(t)
  const good = token()
  const elsewhere = {
    query: { url: `/?access_token=${good}` },
    body: { method: 'POST', url: '/', payload: { access_token: good } },
    form: {
      method: 'POST',
      url: '/',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: `access_token=${good}`,
    },
    cookie: { url: '/', headers: { cookie: `access_token=${good}; token=${good}` } },
    'x-access-token': { url: '/', headers: { 'x-access-token': good } },
    'proxy-authorization': { url: '/', headers: { 'proxy-authorization': `Bearer ${good}` } },
  } as const
  for (const [where, request] of Object.entries(elsewhere)) {
    const reply = await app.inject(request)
    t.equal(reply.statusCode, 401, where)
    t.equal(reply.json().code, 'token_missing')
  }
})

t.test('who lacks the role is told which', async (t) => {
  const { ask } = await guardedApp(t)
  t.equal((await ask('/role', `Bearer ${token({ roles: ['user', 'admin'] })}`)).statusCode, 200)
  for (const roles of [[], ['user'], ['Admin', 'administrator']]) {
    const reply = await ask('/role', `Bearer ${token({ roles })}`)
    t.equal(reply.statusCode, 403)
    t.equal(reply.json().code, 'insufficient_role')
    t.equal(
      reply.headers['www-authenticate'],
      `${BARE}, error="insufficient_scope", error_description="This needs the role admin.", scope="admin"`,
    )
  }
  t.equal((await ask('/role')).json().code, 'token_missing', 'the guard comes first')
})

t.test('who lacks the scope is told which', async (t) => {
  const { ask } = await guardedApp(t)
  t.equal((await ask('/scope', `Bearer ${token({ scope: 'account revocations:read' })}`)).statusCode, 200)
  for (const scope of ['', 'account', 'revocations', 'revocations:read2', 'xrevocations:read']) {
    const reply = await ask('/scope', `Bearer ${token({ scope })}`)
    t.equal(reply.statusCode, 403, scope)
    t.equal(reply.json().code, 'insufficient_scope')
    t.equal(
      reply.headers['www-authenticate'],
      `${BARE}, error="insufficient_scope", error_description="This needs the scope revocations:read.", scope="revocations:read"`,
    )
  }
})

t.test('each hook decides before it returns', async (t) => {
  const decisions: string[] = []
  const { ask } = await guardedApp(
    t,
    (hook) =>
      function (request, reply, done) {
        let decided = false
        const returned = hook.call(this, request, reply, (error) => {
          decided = true
          decisions.push(error === undefined ? 'let in' : 'refused')
          done(error)
        })
        t.equal(decided, true)
        t.equal(returned, undefined, 'and returns no promise')
      },
  )
  await ask('/role', `Bearer ${token({ roles: ['admin'] })}`)
  t.strictSame(decisions.splice(0), ['let in', 'let in'])
  await ask('/scope', `Bearer ${token()}`)
  t.strictSame(decisions.splice(0), ['let in', 'refused'])
  await ask('/', 'Bearer x')
  t.strictSame(decisions, ['refused'])
})
