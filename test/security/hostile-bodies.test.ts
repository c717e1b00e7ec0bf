import { randomUUID } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Test } from 'tap'
import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

function post(service: TestService, url: string, payload: string | Buffer, headers: object = JSON_TYPE) {
  return service.app.inject({ method: 'POST', url, headers: { ...headers }, payload })
}

async function listen(t: Test): Promise<TestService> {
  const service = await createService(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  return service
}

t.test('JSON as deep as a body can be is refused like any other', async (t) => {
  const service = await createService(t)
  const levels = 8_000
  const deep = [
    '['.repeat(levels) + ']'.repeat(levels),
    `${'{"a":'.repeat(2_700)}1${'}'.repeat(2_700)}`,
    `{"email":${'['.repeat(levels)}${']'.repeat(levels)},"password":"x"}`,
  ]
  for (const payload of deep) {
    const reply = await post(service, '/auth/login', payload)
    t.equal(reply.statusCode, 400)
    t.equal(reply.json().code, 'invalid_request')
  }
  isProblem(t, await post(service, '/auth/login', '['.repeat(100_000)), 'payload_too_large')
})

t.test('names that JavaScript takes for more than names are refused, however they are written', async (t) => {
  const service = await createService(t)
  const hostile = [
    '{"__proto__":{"email":"ada@example.com"}}',
    '{"\\u005f\\u005fproto\\u005f\\u005f":{"email":"ada@example.com"}}',
    '{"email":"ada@example.com","password":"x","__proto__":null}',
    '[[{"a":{"__proto__":[]}}]]',
    '{"constructor":{"prototype":{"isAdmin":true}}}',
    '{"c\\u006fnstructor":{"prototype":null}}',
  ]
  for (const payload of hostile) {
    isProblem(t, await post(service, '/auth/login', payload), 'malformed_json')
  }
  t.notOk('isAdmin' in {})
  t.notOk('email' in {})
})

for (const database of databases) {
  t.test(`texts that are none, and numbers that are too much, are refused, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await service.signUp()
    const hostile = ['"\\ud800"', '"\\udfff\\ud800"', '"a\\u0000b"', '1e400', '-1e400', '1e308', 'true', '[]']
    for (const value of hostile) {
      for (const body of [
        `{"email":${value},"password":"${PASSWORD}"}`,
        `{"email":"eve@example.com","password":${value}}`,
        `{"email":"eve@example.com","password":"${PASSWORD}","name":${value}}`,
      ]) {
        const reply = await post(service, '/auth/signup', body)
        t.equal(reply.statusCode, 400, body)
        t.equal(reply.json().code, 'invalid_request')
      }
      const renamed = await service.app.inject({
        method: 'PATCH',
        url: '/account',
        headers: { ...JSON_TYPE, authorization: `Bearer ${token}` },
        payload: `{"name":${value}}`,
      })
      t.equal(renamed.statusCode, 400, value)
    }
  })
}

t.test('of equal names the last one counts, for all that reads it', async (t) => {
  const service = await createService(t)
  const { email } = await service.signUp()
  const twice = (first: string, last: string) =>
    post(service, '/auth/login', `{"email":"${first}","email":"${last}","password":"${PASSWORD}"}`)
  t.equal((await twice('nobody@example.com', email)).statusCode, 200)
  isProblem(t, await twice(email, 'nobody@example.com'), 'invalid_credentials')
})

t.test('a body is UTF-8 whatever it says it is, and never inflated', async (t) => {
  const service = await createService(t)
  // Somebody else each time: who fails too often at one account is held back.
  const newBody = () => JSON.stringify({ email: `${randomUUID()}@example.com`, password: PASSWORD })
  const bomb = gzipSync(Buffer.alloc(8 * 1_024 * 1_024, 0x20))
  t.ok(bomb.length < 16_384)
  const before = process.memoryUsage.rss()
  for (const coding of ['gzip', 'x-gzip', 'deflate', 'br', 'zstd', 'gzip, gzip', 'identity']) {
    const headers = { ...JSON_TYPE, 'content-encoding': coding }
    isProblem(t, await post(service, '/auth/login', bomb, headers), 'malformed_json')
    isProblem(t, await post(service, '/auth/login', newBody(), headers), 'invalid_credentials')
  }
  t.ok(process.memoryUsage.rss() - before < 64 * 1_024 * 1_024)

  const body = newBody()
  const utf16 = Buffer.from(`\ufeff${body}`, 'utf16le')
  const utf7 = body.replaceAll('"', '+ACI-')
  for (const charset of ['utf-16', 'utf-16le', 'utf-7', 'iso-8859-1', '"utf-8', 'x'.repeat(1_000)]) {
    const headers = { 'content-type': `application/json; charset=${charset}` }
    for (const payload of [utf16, utf7]) {
      const { statusCode } = await post(service, '/auth/login', payload, headers)
      t.match(String(statusCode), /^4(00|15)$/, charset)
    }
  }
  isProblem(
    t,
    await post(service, '/auth/login', body, { 'content-type': 'application/json; charset=utf-16' }),
    'invalid_credentials',
  )
  isProblem(t, await post(service, '/auth/login', `\ufeff\ufeff${body}`), 'malformed_json')
})

t.test('a body that grows beyond 16 KiB without having said so is cut', async (t) => {
  const { app } = await listen(t)
  const head = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  const chunk = `1000\r\n${' '.repeat(4_096)}\r\n`
  const connection = connectRaw(t, app)
  connection.send(`${head}Transfer-Encoding: chunked\r\n\r\n`)
  const goOn = () => {
    if (connection.socket.writable) connection.socket.write(chunk, () => setImmediate(goOn))
  }
  goOn()
  const { status, headers, body } = parseResponse(await connection.closed())
  t.equal(status, 413)
  t.equal(headers.connection, 'close')
  t.equal(JSON.parse(body).code, 'payload_too_large')

  const saysSo = connectRaw(t, app)
  saysSo.send(`${head}Content-Length: 18446744073709551615\r\n\r\n{`)
  t.equal(parseResponse(await saysSo.closed()).status, 413)
})

t.test('headers are few and small', async (t) => {
  const { app } = await listen(t)
  const answer = async (fields: string) => {
    const connection = connectRaw(t, app)
    connection.send(`GET /me HTTP/1.1\r\nHost: x\r\n${fields}Connection: close\r\n\r\n`)
    return parseResponse(await connection.closed()).status
  }
  const many = (count: number) => Array.from({ length: count }, (_, index) => `a${index}:\r\n`).join('')
  t.equal(await answer(many(100)), 401)
  t.equal(await answer(many(2_000)), 431, 'so that none, such as Authorization, is left out unseen')
  t.equal(await answer(`A: ${'a'.repeat(16_384)}\r\n`), 431)
  t.equal(await answer(`${'a'.repeat(16_384)}: a\r\n`), 431)
  const line = connectRaw(t, app)
  line.send(`GET /${'a'.repeat(16_384)} HTTP/1.1\r\nHost: x\r\n\r\n`)
  t.equal(parseResponse(await line.closed()).status, 431)

  const trailers = connectRaw(t, app)
  trailers.send(
    `POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${'a'.repeat(16_384)}\r\n\r\n`,
  )
  t.match(await trailers.closed(), /^HTTP\/1\.1 4(04|31) /)
})
