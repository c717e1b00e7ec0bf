import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import t from 'tap'
import { type ProblemCode, problemKinds } from '../../src/problem.ts'
import { poll } from '../helpers/poll.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService } from '../helpers/service.ts'

async function listen(t: Test) {
  const service = await createService(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  return service
}

async function exchange(t: Test, app: FastifyInstance, text: string) {
  const connection = connectRaw(t, app)
  connection.send(text)
  return parseResponse(await connection.closed())
}

// The parser refused it, so no route and no hook has seen it: it is answered by hand.
function isRawProblem(
  t: Test,
  { status, headers, body }: ReturnType<typeof parseResponse>,
  code: ProblemCode,
) {
  const { title } = problemKinds[code]
  t.equal(status, problemKinds[code].status)
  t.equal(headers['content-type'], 'application/problem+json')
  t.equal(headers['content-length'], String(Buffer.byteLength(body)))
  t.equal(headers['cache-control'], 'no-store')
  t.equal(headers.connection, 'close')
  t.match(headers['x-request-id'], /^[\da-f-]{36}$/)
  t.strictSame(JSON.parse(body), {
    type: `urn:latchkey:problem:${code}`,
    title,
    status,
    detail: title,
    code,
    request_id: headers['x-request-id'],
  })
}

t.test('headers of more than 16 KiB are 431', async (t) => {
  const { app } = await listen(t)
  const head = (length: number) =>
    `GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Filler: ${'a'.repeat(length)}\r\n\r\n`
  t.equal((await exchange(t, app, head(15_000))).status, 200)
  isRawProblem(t, await exchange(t, app, head(17_000)), 'headers_too_large')
})

t.test('what is no HTTP is 400', async (t) => {
  const { app } = await listen(t)
  const garbage = [
    'GARBAGE\r\n\r\n',
    '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03',
    '\x00\x00\x00\x00',
    'FETCH /livez HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /livez HTTP/9.9\r\nHost: x\r\n\r\n',
    'GET /livez HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n',
    'GET /livez HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n',
  ]
  for (const text of garbage) isRawProblem(t, await exchange(t, app, text), 'invalid_request')
})

t.test('what two readers could take for two different requests is 400', async (t) => {
  const { app } = await listen(t)
  const head = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  const smuggled = [
    `${head}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}`,
    `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`,
    `${head}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    `${head}Content-Length: +2\r\n\r\n{}`,
    `${head}Content-Length : 2\r\n\r\n{}`,
  ]
  for (const text of smuggled) isRawProblem(t, await exchange(t, app, text), 'invalid_request')
})

t.test('a repeated header is not the first of its kind alone', async (t) => {
  const service = await listen(t)
  const { accessToken } = await service.signUp()
  const bearer = `Authorization: Bearer ${accessToken}\r\n`
  const me = (headers: string) =>
    exchange(t, service.app, `GET /me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`)
  t.equal((await me(bearer)).status, 200)
  const twice = await me(bearer + bearer)
  t.equal(twice.status, 400)
  t.equal(JSON.parse(twice.body).code, 'invalid_request')
  t.match(twice.headers['www-authenticate'], /^Bearer realm="latchkey", error="invalid_request"/)
})

t.test('how long a client may take is bounded', async (t) => {
  const { app } = await createService(t)
  const { requestTimeout, headersTimeout, keepAliveTimeout } = app.server
  t.strictSame(
    { requestTimeout, headersTimeout, keepAliveTimeout },
    { requestTimeout: 15_000, headersTimeout: 10_000, keepAliveTimeout: 72_000 },
  )
})

t.test('a request that stalls is cut with 408', async (t) => {
  const { app, log } = await listen(t)
  // The server looks every 5 s; the limits themselves would only make it longer.
  app.server.headersTimeout = 50
  app.server.requestTimeout = 50
  const stalled = [
    'GET /livez HTTP/1.1\r\nHost: x\r\n',
    'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  ]
  await Promise.all(
    stalled.map(async (text) => isRawProblem(t, await exchange(t, app, text), 'request_timeout')),
  )
  t.strictSame(
    log.filter((line) => JSON.parse(line).level >= 40),
    [],
  )
})

t.test('what was asked for is done, though the client has reset the connection', async (t) => {
  const { app, signUp, send, events } = await listen(t)
  const { accessToken: token } = await signUp()
  const connection = connectRaw(t, app)
  await once(connection.socket, 'connect')
  connection.send(`POST /auth/logout HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  setImmediate(() => connection.socket.resetAndDestroy())
  await poll('the log-out', async () => (await send('GET', '/me', { token })).statusCode === 401)
  t.match(events('logout'), [{ ip: /^(127\.0\.0\.1|unknown)$/ }])
})

t.test('a client that goes away in the middle of a request leaves nothing behind', async (t) => {
  const { app, log } = await listen(t)
  const connections = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)))
  const unfinished = [
    'GET /livez HTTP/1.1\r\nHost:',
    'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  ]
  for (const text of unfinished) {
    for (const leave of ['resetAndDestroy', 'destroy', 'end'] as const) {
      const { socket, send } = connectRaw(t, app)
      send(text)
      await poll('its bytes to arrive', async () => (await connections()) === 1 && socket.bytesWritten > 0)
      socket[leave]()
      await poll('the connection to be gone', async () => (await connections()) === 0)
    }
  }
  t.strictSame(
    log.filter((line) => JSON.parse(line).level >= 40),
    [],
  )
})
