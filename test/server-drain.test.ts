import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { openConnection, request, signUp } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder, startCli, startServer } from './helpers/process.ts'
import { PASSWORD } from './helpers/service.ts'

const HALF_A_REQUEST = 'POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{'

// One of them waits for eight seconds, and the others needn't wait for it.
t.jobs = 2

t.test(
  'a client that sends half a request is cut off, and the process is gone within 10 s',
  { buffered: true },
  async (t) => {
    const server = await startServer(t)
    const { socket } = await openConnection(t, server.url)
    socket.write(HALF_A_REQUEST)
    await request(server.url, '/livez')
    const asked = Date.now()
    server.child.kill('SIGTERM')
    t.strictSame(await server.ended(), { code: 0, signal: null })
    const took = Date.now() - asked
    t.ok(took > 5_000, 'it had its time')
    t.ok(took < 10_000, `and no more: ${took} ms`)
  },
)

t.test(
  'SIGTERM: a log-in that is under way is answered, and nothing new is let in',
  { buffered: true },
  async (t) => {
    const email = 'ada@example.com'
    // A hash that takes about a second.
    const server = await startServer(t, { env: { ARGON2_PASSES: '60' } })
    await signUp(server.url, email)
    const idle = await openConnection(t, server.url)
    idle.socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
    await poll('an answer', () => idle.received().includes('alive'))
    const { socket, received } = await openConnection(t, server.url)
    const body = JSON.stringify({ email, password: PASSWORD })
    socket.write(
      `POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
    // Sent later, answered first: the log-in has arrived.
    await request(server.url, '/livez')
    server.child.kill('SIGTERM')
    await poll('the end of listening', () =>
      openConnection(t, server.url).then(
        ({ socket }) => socket.destroy() && false,
        (error) => error.code === 'ECONNREFUSED',
      ),
    )
    t.equal(received(), '', 'the log-in is still under way')
    await poll('the answer', () => received() !== '')
    const answered = Date.now()
    t.strictSame(await server.ended(), { code: 0, signal: null })
    t.ok(Date.now() - answered < 4_500, 'neither this connection nor the idle one holds anything up')
    t.match(received(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*"access_token":"[^"]+"/)
    t.match(server.stdout(), /"signal":"SIGTERM","msg":"draining"[\s\S]*"msg":"drained"/)
  },
)

t.test('a connection on which nothing was said holds nothing up', { buffered: true }, async (t) => {
  const server = await startServer(t)
  await openConnection(t, server.url)
  await request(server.url, '/livez')
  const asked = Date.now()
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended(), { code: 0, signal: null })
  t.ok(Date.now() - asked < 4_500)
})

t.test('who has sent a request right before the signal is answered', { buffered: true }, async (t) => {
  const server = await startServer(t)
  const clients = await Promise.all(Array.from({ length: 20 }, () => openConnection(t, server.url)))
  server.child.kill('SIGTERM')
  for (const { socket } of clients) socket.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await poll('every answer', () => clients.every(({ received }) => received().includes('alive')))
  t.strictSame(await server.ended(), { code: 0, signal: null })
})

t.test('a second signal ends it at once', { buffered: true }, async (t) => {
  const server = await startServer(t)
  const { socket } = await openConnection(t, server.url)
  socket.write(HALF_A_REQUEST)
  await request(server.url, '/livez')
  server.child.kill('SIGTERM')
  await poll('the draining', () => server.stdout().includes('"msg":"draining"'))
  const asked = Date.now()
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended(), { code: 1, signal: null })
  t.ok(Date.now() - asked < 4_500)
})

t.test(
  'an error that nobody caught is logged, and the process drains and fails',
  { buffered: true },
  async (t) => {
    const folder = emptyFolder(t)
    const fault = join(folder, 'fault.mjs')
    writeFileSync(fault, "process.once('SIGWINCH', () => { throw new Error('the roof fell in') })")
    const NODE_OPTIONS = `--import ${pathToFileURL(fault)}`
    const server = await startServer(t, { env: { NODE_OPTIONS } })
    server.child.kill('SIGWINCH')
    t.strictSame(await server.ended(), { code: 1, signal: null })
    t.match(server.stdout(), /"level":60,[^\n]*the roof fell in[^\n]*"msg":"an error nobody caught"/)
    t.match(server.stdout(), /"msg":"drained"/)
  },
)

t.test('a signal that comes with the first sign of listening drains too', { buffered: true }, async (t) => {
  const server = startCli(t, ['serve'], { env: { PORT: '0' } })
  server.child.stdout?.on('data', () => {
    if (!server.child.killed && server.stdout().includes('Server listening')) server.child.kill('SIGTERM')
  })
  t.strictSame(await server.ended(), { code: 0, signal: null })
})
