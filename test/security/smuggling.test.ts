import type { Test } from 'tap'
import t from 'tap'
import { poll } from '../helpers/poll.ts'
import { connectRaw, parseResponses } from '../helpers/raw-http.ts'
import { createService } from '../helpers/service.ts'

const BODY = '{"refresh_token":"x"}'
const LENGTH = `Content-Length: ${BODY.length}`
const CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n`
const CHUNKED = 'Transfer-Encoding: chunked'
const NOTHING = '0\r\n\r\n'

function post(fields: readonly string[], body: string, version = 'HTTP/1.1'): string {
  const head = [`POST /auth/refresh ${version}`, 'Host: x', 'Content-Type: application/json', ...fields]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}

// RFC 9112 sections 2.2, 3, 5, 6 and 7: what one reader takes for one request and another for two.
const ambiguous: Readonly<Record<string, string>> = {
  'a length and chunks': post(['Content-Length: 5', CHUNKED], NOTHING),
  'chunks and a length': post([CHUNKED, 'Content-Length: 3'], NOTHING),
  'two lengths': post([LENGTH, LENGTH], BODY),
  'two different lengths': post([LENGTH, 'Content-Length: 2'], BODY),
  'a list of lengths': post(['Content-Length: 21, 21'], BODY),
  'a length with a sign': post(['Content-Length: +21'], BODY),
  'a negative length': post(['Content-Length: -1'], BODY),
  'a hexadecimal length': post(['Content-Length: 0x15'], BODY),
  'a length with a space in it': post(['Content-Length: 2 1'], BODY),
  'a length with a fraction': post(['Content-Length: 21.0'], BODY),
  'a length with an exponent': post(['Content-Length: 21e0'], BODY),
  'a length of nothing': post(['Content-Length:'], BODY),
  'a length beyond 64 bits': post(['Content-Length: 18446744073709551637'], BODY),
  'a space before the colon of a length': post(['Content-Length : 21'], BODY),
  'a length by another name': post(['Content_Length: 21'], BODY),
  'a NUL in the name of a length': post(['Content-Length\0: 21'], BODY),
  'an unknown coding': post(['Transfer-Encoding: xchunked'], NOTHING),
  'no coding': post(['Transfer-Encoding: identity'], NOTHING),
  'chunked in quotes': post(['Transfer-Encoding: "chunked"'], NOTHING),
  'chunked with a parameter': post(['Transfer-Encoding: chunked;a=b'], NOTHING),
  'chunked behind a vertical tab': post(['Transfer-Encoding: \x0bchunked'], NOTHING),
  'an empty coding': post(['Transfer-Encoding:', LENGTH], BODY),
  'chunked and then another': post(['Transfer-Encoding: chunked, identity'], NOTHING),
  'another and then chunked': post(['Transfer-Encoding: identity, chunked'], NOTHING),
  'gzip and then chunked': post(['Transfer-Encoding: gzip, chunked'], NOTHING),
  'chunked in chunked': post(['Transfer-Encoding: chunked, chunked'], NOTHING),
  'chunked twice': post([CHUNKED, CHUNKED], NOTHING),
  'chunked and another, in two fields': post([CHUNKED, 'Transfer-Encoding: cow'], NOTHING),
  'another and chunked, in two fields': post(['Transfer-Encoding: cow', CHUNKED], NOTHING),
  'a space before the colon of a coding': post(['Transfer-Encoding : chunked'], NOTHING),
  'a folded coding': post(['Transfer-Encoding:\r\n chunked'], NOTHING),
  'a coding in a fold': post(['X: a\r\n Transfer-Encoding: chunked'], ''),
  'a coding under HTTP/1.0': post([CHUNKED, 'Connection: keep-alive'], NOTHING, 'HTTP/1.0'),
  'a line feed alone between fields': post([`X: a\n${CHUNKED}`], NOTHING),
  'a carriage return alone between fields': post([`X: a\r${CHUNKED}`], NOTHING),
  'line feeds alone': post([LENGTH], BODY).replaceAll('\r\n', '\n'),
  'a line feed alone after the head': post([LENGTH], BODY).replace('\r\n\r\n', '\r\n\n'),
  'a NUL in a value': post(['X: a\0b', LENGTH], BODY),
  'a name with a space': post(['X Y: a', LENGTH], BODY),
  'no name': post([': a', LENGTH], BODY),
  'a fold after the first line': 'GET /livez HTTP/1.1\r\n X: y\r\nHost: x\r\n\r\n',
  'a chunk that ends in a line feed': post([CHUNKED], `15\n${BODY}\r\n${NOTHING}`),
  'a chunk extension that ends in a line feed': post([CHUNKED], `15;a\n${BODY}\r\n${NOTHING}`),
  'a chunk that does not end': post([CHUNKED], `15\r\n${BODY}${NOTHING}`),
  'a chunk beyond 64 bits': post([CHUNKED], `10000000000000015\r\n${BODY}\r\n${NOTHING}`),
  'a negative chunk': post([CHUNKED], `-1\r\n${BODY}\r\n${NOTHING}`),
  'a chunk with a prefix': post([CHUNKED], `0x15\r\n${BODY}\r\n${NOTHING}`),
  'a chunk with a space': post([CHUNKED], `15 \r\n${BODY}\r\n${NOTHING}`),
  'endless chunk extensions': post([CHUNKED], `15;a=${'b'.repeat(20_000)}\r\n${BODY}\r\n${NOTHING}`),
  'a length among the trailers': post([CHUNKED], `${CHUNK}0\r\nContent-Length: 5\r\n\r\n`),
  'no host': 'GET /livez HTTP/1.1\r\n\r\n',
  'two hosts': 'GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n',
  'a host that is none': 'GET /livez HTTP/1.1\r\nHost: x/y@z\r\n\r\n',
  'an authority as target': 'GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n',
  'a NUL in the target': 'GET /livez\0 HTTP/1.1\r\nHost: x\r\n\r\n',
  'a space in the target': 'GET /livez HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n',
  'tabs in the first line': 'GET\t/livez\tHTTP/1.1\r\nHost: x\r\n\r\n',
  'a protocol in lower case': 'GET /livez http/1.1\r\nHost: x\r\n\r\n',
  'no host, and no path': 'GET /%zz HTTP/1.1\r\n\r\n',
  'a list of hosts, and no path': 'GET /%zz HTTP/1.1\r\nHost: x, y\r\n\r\n',
  'gzip and then chunked, and no path': post(['Transfer-Encoding: gzip, chunked'], NOTHING).replace(
    '/auth',
    '/%zz',
  ),
  'gzip and then chunked, and an unknown expectation': post(
    ['Transfer-Encoding: gzip, chunked', 'Expect: x'],
    NOTHING,
  ),
  'no host, and an unknown expectation': 'GET /livez HTTP/1.1\r\nExpect: x\r\n\r\n',
  'a host that is none under HTTP/1.0': 'GET /livez HTTP/1.0\r\nHost: a, b\r\nConnection: keep-alive\r\n\r\n',
  'HTTP/0.9': 'GET /livez\r\n\r\n',
  'HTTP/1.2': 'GET /livez HTTP/1.2\r\nHost: x\r\n\r\n',
  'HTTP/2.0 by its name': 'GET /livez HTTP/2.0\r\nHost: x\r\n\r\n',
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
}

async function listen(t: Test) {
  const service = await createService(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  const { accessToken: token } = await service.signUp()
  return {
    ...service,
    logOut: `POST /auth/logout HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    isSignedIn: async () => (await service.send('GET', '/me', { token })).statusCode === 200,
  }
}

t.test('what could be two requests is one refusal, and the second is never done', async (t) => {
  const { app, logOut, isSignedIn, log } = await listen(t)
  for (const [name, text] of Object.entries(ambiguous)) {
    const connection = connectRaw(t, app)
    connection.send(text + logOut)
    const responses = parseResponses(await connection.closed())
    t.equal(responses.length, 1, name)
    t.match(responses, [{ status: 400, headers: { connection: 'close' } }], name)
    t.equal(JSON.parse(responses[0]?.body ?? '').code, 'invalid_request', name)
    t.ok(await isSignedIn(), `${name}: the request behind it is not done`)
  }
  t.strictSame(
    log.filter((line) => JSON.parse(line).level >= 40),
    [],
  )
})

t.test('what is plain is answered, each request once and in its order', async (t) => {
  const { app, isSignedIn } = await listen(t)
  const plain = [
    post([LENGTH], BODY),
    post(['Content-Length: \t 21 \t'], BODY),
    post([CHUNKED], CHUNK + NOTHING),
    post(['transfer-encoding:\tChunked'], CHUNK + NOTHING),
    post([CHUNKED], `15;a=b;c="d"\r\n${BODY}\r\n${NOTHING}`),
    post([CHUNKED], `${CHUNK}0\r\nX-Trailer: 1\r\n\r\n`),
    'GET http://elsewhere.example/livez HTTP/1.1\r\nHost: x:80\r\n\r\n',
    'GET http://elsewhere.example/me HTTP/1.1\r\nHost: [::1]:80\r\n\r\n',
    'GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  ]
  const connection = connectRaw(t, app)
  connection.send(`${plain.join('')}GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  t.strictSame(
    parseResponses(await connection.closed()).map(({ status }) => status),
    [401, 401, 401, 401, 401, 401, 200, 401, 200, 404],
  )
  t.ok(await isSignedIn())
})

t.test('a request in the body of another is not done', async (t) => {
  const { app, logOut, isSignedIn } = await listen(t)
  const hiding = [
    `GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: ${logOut.length}\r\n\r\n${logOut}`,
    `GET /livez HTTP/1.1\r\nHost: x\r\n${CHUNKED}\r\n\r\n${logOut.length.toString(16)}\r\n${logOut}\r\n${NOTHING}`,
    `POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: ${logOut.length}\r\n\r\n${logOut}`,
  ]
  const connection = connectRaw(t, app)
  connection.send(`${hiding.join('')}GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  t.strictSame(
    parseResponses(await connection.closed()).map(({ status }) => status),
    [200, 200, 404, 200],
  )
  t.ok(await isSignedIn())
})

t.test('a tunnel is not opened', async (t) => {
  const { app, logOut, isSignedIn } = await listen(t)
  const connection = connectRaw(t, app)
  connection.send(`CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n${logOut}`)
  t.equal(await connection.closed(), '')
  t.ok(await isSignedIn())
  for (const fields of ['Upgrade: websocket', 'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA']) {
    const { send, received } = connectRaw(t, app)
    send(`GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n${fields}\r\n\r\n`)
    await poll('the answer', () => received().includes('alive'))
    t.match(parseResponses(received()), [{ status: 200 }], 'it is an ordinary request')
  }
})

t.test('1,000 requests in one piece are answered in their order', async (t) => {
  const { app } = await listen(t)
  const ids = Array.from({ length: 1_000 }, (_, index) => `request-${index}`)
  const connection = connectRaw(t, app)
  const requests = ids.map((id, index) => {
    const last = index === ids.length - 1 ? 'Connection: close\r\n' : ''
    // Every third goes to the database, and is answered later than the next.
    const path = index % 3 === 0 ? '/readyz' : '/livez'
    return `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${id}\r\n${last}\r\n`
  })
  connection.send(requests.join(''))
  const responses = parseResponses(await connection.closed(30_000))
  t.strictSame(
    responses.map(({ headers }) => headers['x-request-id']),
    ids,
  )
  t.ok(responses.every(({ status }) => status === 200))
})

t.test("an expectation that nobody knows is nobody's business", async (t) => {
  const { app } = await listen(t)
  const connection = connectRaw(t, app)
  connection.send('GET /livez HTTP/1.1\r\nHost: x\r\nExpect: the unexpected\r\nConnection: close\r\n\r\n')
  t.match(parseResponses(await connection.closed()), [{ status: 200 }])
})

t.test('who wants another protocol gets an answer in this one, and no second', async (t) => {
  const { app, logOut, isSignedIn } = await listen(t)
  const connection = connectRaw(t, app)
  connection.send(`GET /livez HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n${logOut}`)
  const responses = parseResponses(await connection.closed())
  t.match(responses, [{ status: 200, headers: { connection: 'close' } }])
  t.equal(responses.length, 1)
  t.ok(await isSignedIn())
})
