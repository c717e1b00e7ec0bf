import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { request, signUp } from '../helpers/client.ts'
import { parseExposition, valueIn } from '../helpers/exposition.ts'
import { freePort } from '../helpers/free-port.ts'
import { poll } from '../helpers/poll.ts'
import { startCli, startServer } from '../helpers/process.ts'
import { connectPort } from '../helpers/raw-http.ts'

t.jobs = 2

const TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** A service with its metrics on a port of their own, and where that is. */
async function withOwnPort(t: Test) {
  const server = await startServer(t, { env: { METRICS_PORT: '0' } })
  const [, metricsUrl = ''] = /Metrics server listening at (http:[^"]+)/.exec(server.stdout()) ?? []
  return { ...server, metricsUrl }
}

t.test('metrics are beside everything else by default', { buffered: true }, async (t) => {
  const { url } = await startServer(t)
  const reply = await fetch(`${url}/metrics`)
  t.equal(reply.status, 200)
  t.equal(reply.headers.get('content-type'), TYPE)
  t.equal(reply.headers.get('cache-control'), 'no-store')
  const metrics = parseExposition(await reply.text())
  for (const name of ['latchkey_ready', 'process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds']) {
    t.ok(metrics.has(name), name)
  }
  t.equal((await fetch(`${url}/metrics`, { method: 'HEAD' })).status, 200)
})

t.test('with a port of their own they are there and nowhere else', { buffered: true }, async (t) => {
  const { url, metricsUrl } = await withOwnPort(t)
  await signUp(url, 'ada@example.com')
  const elsewhere = await request(url, '/metrics')
  t.equal(elsewhere.status, 404)
  t.equal(elsewhere.json.code, 'not_found')

  const reply = await fetch(`${metricsUrl}/metrics`)
  t.equal(reply.status, 200)
  t.equal(reply.headers.get('content-type'), TYPE)
  const text = await reply.text()
  parseExposition(text)
  t.equal(valueIn(text, 'latchkey_signups_total', { outcome: 'ok' }), 1)
  t.equal(valueIn(text, 'latchkey_argon2_seconds_count'), 1)
  t.ok(valueIn(text, 'latchkey_database_statement_seconds_count') > 1)

  const head = await fetch(`${metricsUrl}/metrics`, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(await head.text(), '')
  const refused = await fetch(`${metricsUrl}/metrics`, { method: 'POST' })
  t.equal(refused.status, 405)
  t.equal(refused.headers.get('allow'), 'GET, HEAD')
  for (const path of ['/', '/me', '/livez', '/auth/login', '/openapi.json', '/metrics/x']) {
    const { status, json } = await request(metricsUrl, path)
    t.strictSame([status, json.code], [404, 'not_found'], path)
  }
})

t.test('what is no HTTP is refused there too', { buffered: true }, async (t) => {
  const { metricsUrl, child, ended } = await withOwnPort(t)
  const connection = connectPort(t, Number(new URL(metricsUrl).port))
  connection.send('GARBAGE\r\n\r\n')
  t.match(await connection.closed(), /^HTTP\/1\.1 400 /)
  child.kill('SIGTERM')
  t.strictSame(await ended(), { code: 0, signal: null })
})

t.test('who scrapes holds nothing up when the service ends', { buffered: true }, async (t) => {
  const server = await withOwnPort(t)
  const connection = connectPort(t, Number(new URL(server.metricsUrl).port))
  connection.send('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
  await poll('an answer', () => connection.received().includes('latchkey_ready'))
  const silent = connectPort(t, Number(new URL(server.metricsUrl).port))
  silent.send('GET /metrics HTTP/1.1\r\nHo')
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended(9_000), { code: 0, signal: null })
  await connection.closed()
})

t.test('a port that is taken is said in one line', { buffered: true }, async (t) => {
  const other = createServer()
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const { port } = Object(other.address())
  const env = { PORT: String(await freePort()), METRICS_PORT: String(port), LOG_LEVEL: 'warn' }
  const server = startCli(t, ['serve'], { env })
  t.strictSame(await server.ended(), { code: 1, signal: null })
  t.equal(
    server.stderr(),
    `latchkey: HOST and METRICS_PORT: can't listen on 127.0.0.1:${port} (EADDRINUSE)\n`,
  )
})
