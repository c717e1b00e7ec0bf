import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { markReplies } from '../../src/http/requests.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService } from '../helpers/service.ts'

type Headers = Readonly<Record<string, unknown>>

/** What every answer has, and what none has. */
function isMarked(t: Test, headers: Headers, what: string): void {
  t.equal(headers['cache-control'], 'no-store', what)
  t.match(headers['x-request-id'], /^[\w.-]+$/, what)
  for (const name of ['server', 'x-powered-by', 'via', 'etag', 'set-cookie']) t.notOk(name in headers, name)
}

/** What an answer has that anybody can open, frame or embed. */
function isNoPage(t: Test, headers: Headers, what: string): void {
  isMarked(t, headers, what)
  t.equal(headers['x-content-type-options'], 'nosniff', what)
  t.equal(headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'", what)
  t.equal(headers['cross-origin-resource-policy'], 'same-origin', what)
}

t.test('what anybody can ask for is no page, whatever the answer', async (t) => {
  const { app } = await createService(t)
  const { paths } = (await app.inject('/openapi.json')).json()
  let asked = 0
  for (const [path, methods] of Object.entries<object>(paths)) {
    const url = path.replace(/{\w+}/, '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071')
    for (const method of [...Object.keys(methods), 'head', 'options', 'trace']) {
      const reply = await app.inject({ method: method.toUpperCase() as 'GET', url })
      isNoPage(t, reply.headers, `${method} ${url} ${reply.statusCode}`)
      asked++
    }
  }
  t.ok(asked > 50)
  for (const url of ['/openapi.json', '/nothing', '/%zz', '/', '/%']) {
    isNoPage(t, (await app.inject(url)).headers, url)
  }
})

t.test('what the guard let through is for the holder of the token', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  for (const path of ['/me', '/account', '/account/sessions']) {
    const reply = await service.send('GET', path, { token })
    t.equal(reply.statusCode, 200)
    isMarked(t, reply.headers, path)
  }
  const logout = await service.send('POST', '/auth/logout', { token })
  t.equal(logout.statusCode, 204)
  isMarked(t, logout.headers, 'logout')
  isNoPage(t, (await service.send('GET', '/me', { token })).headers, 'a token that was revoked')
})

t.test('what was no HTTP gets no other answer', async (t) => {
  const { app } = await createService(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const requests = [
    'GARBAGE\r\n\r\n',
    `GET /livez HTTP/1.1\r\nHost: x\r\nX-Filler: ${'a'.repeat(17_000)}\r\n\r\n`,
    'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    'GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
  ]
  const statuses: number[] = []
  for (const text of requests) {
    const connection = connectRaw(t, app)
    connection.send(text)
    const { status, headers } = parseResponse(await connection.closed())
    statuses.push(status)
    isNoPage(t, headers, String(status))
  }
  t.strictSame(statuses, [400, 431, 200, 400])
})

t.test('a route whose answer is a page has a policy of its own', async (t) => {
  const app = Fastify()
  markReplies(app)
  const policy = "default-src 'self'"
  app.get('/docs', { onRequest: (_request, _reply, done) => done() }, (_request, reply) =>
    reply.header('content-security-policy', policy).type('text/html').send('<p>'),
  )
  const { headers } = await app.inject('/docs')
  isMarked(t, headers, '/docs')
  t.equal(headers['content-security-policy'], policy)
})
