import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { startCollector } from '../helpers/otlp.ts'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { startTraced } from '../helpers/traced.ts'

t.test('what a client does wrong is no error, and what it makes up is no name', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector)
  t.equal((await server.send('GET', '/me')).status, 401)
  t.equal((await server.send('GET', '/nothing')).status, 404)
  t.equal((await server.send('PROPFIND', '/me')).status, 405)
  t.equal((await server.send('GET', '/%zz')).status, 400)
  await server.drained()

  const seen = collector.spans.map(({ name, status, attributes }) => ({ name, status, ...attributes }))
  const status = 'http.response.status_code'
  const method = 'http.request.method'
  t.strictSame(seen, [
    { name: 'GET /me', status: 0, [method]: 'GET', 'http.route': '/me', [status]: 401 },
    { name: 'GET', status: 0, [method]: 'GET', [status]: 404 },
    { name: 'HTTP', status: 0, [method]: '_OTHER', [status]: 405 },
  ])
})

t.test('each line of a request carries its trace, wherever it is logged', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector, { env: { LOG_REQUESTS: 'on' } })
  await Promise.all([server.signUp(), server.signUp(), server.signUp()])
  await server.drained()

  const requests = collector.spans.filter(({ name }) => name === 'POST /auth/signup')
  t.equal(requests.length, 3)
  for (const { traceId, spanId } of requests) {
    const lines = server.lines().filter(({ trace_id }) => trace_id === traceId)
    t.strictSame(lines.map(({ msg }) => msg).sort(), ['request', 'signup'])
    t.ok(lines.every(({ span_id }) => span_id === spanId))
    const [first, second] = lines
    t.equal(first?.request_id, second?.request_id)
  }
  const others = server.lines().filter(({ msg }) => msg !== 'signup' && msg !== 'request')
  t.ok(others.length > 3)
  t.ok(
    others.every((line) => !('trace_id' in line)),
    'and no other line does',
  )
})

t.test('hashes that wait for each other each belong to their own request', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector, { env: { UV_THREADPOOL_SIZE: '2' } })
  const body = { email: 'nobody@example.com', password: PASSWORD }
  await Promise.all(Array.from({ length: 5 }, () => server.send('POST', '/auth/login', { body })))
  await server.drained()

  // On a slow machine some are turned away.
  const logins = collector.spans.filter(
    ({ name, attributes }) => name === 'POST /auth/login' && attributes['http.response.status_code'] === 401,
  )
  t.ok(logins.length >= 2)
  for (const login of logins) {
    const below = collector.below(login).filter(({ name }) => name.startsWith('argon2'))
    t.strictSame(below.map(({ name }) => name).sort(), ['argon2 verify', 'argon2 wait'])
    t.ok(below.every(({ start, end }) => start >= login.start - 2_000_000n && end <= login.end + 2_000_000n))
  }
})

t.test('a client that goes away leaves a span that says so', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector)
  const body = JSON.stringify({ email: 'nobody@example.com', password: PASSWORD })
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {})
  socket.write(
    `POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  await poll('the request to arrive', () => socket.bytesWritten > body.length)
  setTimeout(() => socket.resetAndDestroy(), 20)
  await text(socket).catch(() => '')
  await poll('the refused login to be logged', () => server.lines().some(({ msg }) => msg === 'login_failed'))
  await server.drained()
  const span = await collector.span('POST /auth/login')
  t.match(Object.keys(span.attributes), ['http.request.method', 'http.route'])
})

t.test('the service is called what OpenTelemetry is told to call it', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector, {
    env: {
      OTEL_SERVICE_NAME: 'auth-of-staging',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,service.instance.id=one',
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20Y2FuYXJ5',
    },
  })
  await server.send('GET', '/livez')
  await server.drained()
  const { resource } = await collector.span('GET /livez')
  t.match(resource, {
    'service.name': 'auth-of-staging',
    'deployment.environment.name': 'staging',
    'service.instance.id': 'one',
  })
  t.match(collector.headers[0], { authorization: 'Basic Y2FuYXJ5', url: '/v1/traces' })
  t.notMatch(server.stdout(), /Y2FuYXJ5/)
})
