import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

t.test('where there is nothing, the answer is 404', async (t) => {
  const { app } = await createService(t)
  const unknown = ['/', '/nothing', '/auth', '/me/', '//me', '/ME', '/livez;a=b', '/auth/login/..', '/me%2f']
  for (const url of unknown) {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'PROPFIND'] as const) {
      isProblem(t, await app.inject({ method, url }), 'not_found')
    }
  }
  const reply = await app.inject({
    method: 'POST',
    url: '/nothing',
    headers: { 'content-type': 'text/plain' },
    payload: 'x',
  })
  isProblem(t, reply, 'not_found')
})

t.test('a method that a path does not have is 405, and Allow names those it has', async (t) => {
  const { app } = await createService(t)
  const document = (await app.inject('/openapi.json')).json()
  const paths = new Map<string, string[]>([['/openapi.json', ['GET']]])
  for (const [path, operations] of Object.entries<object>(document.paths)) {
    paths.set(
      path.replace('{id}', '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071'),
      Object.keys(operations).map((method) => method.toUpperCase()),
    )
  }
  t.ok(paths.size > 8)
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'PURGE']
  for (const [path, own] of paths) {
    // The revocation feed has no HEAD: it would have to read a stream to its end.
    const hasHead = own.includes('GET') && path !== '/revocations'
    const allowed = [...own, ...(hasHead ? ['HEAD'] : [])].sort()
    for (const method of methods.filter((method) => !allowed.includes(method))) {
      const reply = await app.inject({ method: method as 'GET', url: `${path}?a=b` })
      t.equal(reply.statusCode, 405, `${method} ${path}`)
      t.equal(reply.headers.allow, allowed.join(', '))
      if (method !== 'HEAD') isProblem(t, reply, 'method_not_allowed')
    }
  }
})

t.test('HEAD answers what GET does, without the body', async (t) => {
  const service = await createService(t)
  const { accessToken } = await service.signUp()
  const headers = { authorization: `Bearer ${accessToken}` }
  for (const url of ['/livez', '/readyz', '/me', '/account', '/account/sessions', '/openapi.json']) {
    const get = await service.app.inject({ method: 'GET', url, headers })
    const head = await service.app.inject({ method: 'HEAD', url, headers })
    t.equal(head.statusCode, 200, url)
    t.equal(head.body, '')
    // What /readyz says of the age of its knowledge is longer at some times than at others.
    if (url === '/readyz') t.match(head.headers['content-length'], /^[1-9]\d\d$/)
    else t.equal(head.headers['content-length'], String(get.rawPayload.length))
    t.equal(head.headers['content-type'], get.headers['content-type'])
  }
  const refused = await service.app.inject({ method: 'HEAD', url: '/me' })
  t.equal(refused.statusCode, 401)
  t.equal(refused.body, '')
})

t.test('where there is nothing, nobody reads the body', async (t) => {
  const { app } = await createService(t)
  for (const type of ['application/json', 'text/plain']) {
    const request = { method: 'POST', url: '/nothing', headers: { 'content-type': type } } as const
    isProblem(t, await app.inject({ ...request, payload: '{broken' }), 'not_found')
  }
})

t.test('a path that is no path is 400', async (t) => {
  const { app } = await createService(t)
  for (const url of ['/%zz', '/account/sessions/%zz', '/%', '/me/%c0%af']) {
    isProblem(t, await app.inject(url), 'invalid_request')
    isProblem(t, await app.inject({ method: 'PROPFIND', url }), 'invalid_request')
  }
  isProblem(
    t,
    await app.inject({ method: 'DELETE', url: `/account/sessions/${'a'.repeat(101)}` }),
    'invalid_request',
  )
})

t.test('a body has to be JSON in UTF-8', async (t) => {
  const { app } = await createService(t)
  const bodies = [
    '{',
    '{"email":}',
    "{'email':'x'}",
    '{"a":1}{"b":2}',
    'NaN',
    'undefined',
    ' ',
    '\u0000',
    '{"__proto__":{"admin":true}}',
    '{"email":{"__proto__":null}}',
    '{"constructor":{"prototype":{}}}',
    Buffer.from([0x22, 0xff, 0x22]),
    Buffer.from('{"email":"zo\xeb@example.com"}', 'latin1'),
    Buffer.from('\ufeff{}', 'utf16le'),
    '['.repeat(10_000),
  ]
  for (const payload of bodies) {
    const reply = await app.inject({ method: 'POST', url: '/auth/login', headers: JSON_TYPE, payload })
    isProblem(t, reply, 'malformed_json')
  }
})

t.test('a body that is missing is one that is wrong, where one is needed', async (t) => {
  const { app } = await createService(t)
  for (const url of ['/auth/login', '/auth/signup', '/auth/refresh']) {
    for (const request of [
      {},
      { headers: JSON_TYPE, payload: '' },
      { headers: JSON_TYPE, payload: 'null' },
    ]) {
      isProblem(t, await app.inject({ method: 'POST', url, ...request }), 'invalid_request', [''])
    }
  }
})

t.test('a body of any other type is 415', async (t) => {
  const { app } = await createService(t)
  const payload = JSON.stringify({ email: 'ada@example.com', password: PASSWORD })
  const types = [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'application/problem+json',
    'text/json',
    'application/json, text/plain',
    'application',
    '',
  ]
  for (const type of types) {
    const headers = { 'content-type': type }
    const reply = await app.inject({ method: 'POST', url: '/auth/login', headers, payload })
    isProblem(t, reply, 'unsupported_media_type')
  }
  for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
    const headers = { 'content-type': type }
    const reply = await app.inject({ method: 'POST', url: '/auth/login', headers, payload })
    isProblem(t, reply, 'invalid_credentials')
  }
})

t.test('a body of more than 16 KiB is 413', async (t) => {
  const { app } = await createService(t)
  const body = (length: number) => `{"email":"${'x'.repeat(length - 12)}"}`
  const send = (payload: string, headers = {}) =>
    app.inject({ method: 'POST', url: '/auth/login', headers: { ...JSON_TYPE, ...headers }, payload })
  isProblem(t, await send(body(16_384)), 'invalid_request', ['email', 'password'])
  isProblem(t, await send(body(16_385)), 'payload_too_large')
  isProblem(t, await send('{}', { 'content-length': '16385' }), 'payload_too_large')
})

for (const database of databases) {
  t.test(`an error nobody expected says nothing, and the log has it, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await service.signUp()
    await service.database.db.schema.dropTable('sessions').execute()

    const reply = await service.send('GET', '/account/sessions', {
      token,
      headers: { 'x-request-id': 'what-happened' },
    })
    isProblem(t, reply, 'internal_error')
    t.equal(reply.json().detail, 'Something went wrong here.')
    t.notMatch(reply.body, /sessions/)
    t.equal(reply.headers['x-request-id'], 'what-happened')

    const lines = service.log.map((line) => JSON.parse(line))
    const line = lines.find(({ request_id, level }) => request_id === 'what-happened' && level === 50)
    t.match(line, { code: 'internal_error', err: { message: /sessions/, stack: String } })
  })
}

t.test('what a client does wrong is nothing for the error log', async (t) => {
  const service = await createService(t)
  await service.app.inject('/nothing')
  await service.app.inject({ method: 'POST', url: '/auth/login', headers: JSON_TYPE, payload: '{' })
  await service.app.inject('/%zz')
  await service.send('GET', '/me', { token: 'x.y.z' })
  t.strictSame(
    service.log.filter((line) => JSON.parse(line).level >= 40),
    [],
  )
})
