import t from 'tap'
import { openConnection, request, signUp } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import { createPostgresDatabase } from './helpers/postgres.ts'
import { SECRET } from './helpers/service.ts'
import { connectToWorkers, isAlive, logged, startWorkers, stop, workersOf } from './helpers/supervised.ts'

const LIVEZ = 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

t.test('three workers serve on one port, with one secret, and connections go to them in turn', async (t) => {
  const server = await startWorkers(t, 3)
  t.equal(server.stdout().match(/Server listening at/g)?.length, 1)
  const pids = workersOf(server)
  t.equal(new Set(pids).size, 3)
  t.notOk(pids.includes(server.child.pid as number), 'the supervisor opens no database')

  for (let i = 0; i < 30; i++) await request(server.url, '/livez')
  const requests = await poll('all in the log', () => {
    const lines = logged(server).filter(({ msg }) => msg === 'request')
    return lines.length === 30 && lines
  })
  for (const pid of pids) t.equal(requests.filter((line) => line.pid === pid).length, 10)

  const token = await signUp(server.url, 'ada@example.com')
  for (const connection of await connectToWorkers(t, server, 3)) {
    t.match(await connection.send('GET', '/me', token), { status: 200 })
    t.match(await connection.send('GET', '/account', token), { status: 200 })
    t.match(await connection.send('GET', '/readyz'), { status: 200 })
  }
  t.equal(server.stdout().match(/made a secret and kept it/g)?.length, 1)
  t.strictSame(await stop(server), { code: 0, signal: null })
  for (const pid of pids) t.notOk(isAlive(pid))
})

t.test('a client has its time-outs, and may close its half, with workers too', async (t) => {
  const server = await startWorkers(t, 2)
  const slow = await openConnection(t, server.url)
  slow.send('GET /livez HTTP/1.1\r\nHost: local')
  const half = await openConnection(t, server.url)
  half.socket.end(LIVEZ)
  t.match(await half.closed(), /^HTTP\/1\.1 200 OK\r\n/)
  t.match(await slow.closed(20_000), /^HTTP\/1\.1 408 /, 'slow headers are cut')
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('metrics of all workers have their own port in the supervisor', async (t) => {
  const server = await startWorkers(t, 2, { env: { METRICS_PORT: '0', HOST: '::1' } })
  t.match(server.url, /^http:\/\/\[::1\]:\d+$/)
  const url = /Metrics server listening at (http:[^"]+)/.exec(server.stdout())?.[1]
  const text = await (await fetch(`${url}/metrics`, { headers: { connection: 'close' } })).text()
  t.match(text, /^latchkey_workers 2$/m)
  t.match(await request(server.url, '/metrics'), { status: 404 })
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('the connections to PostgreSQL are shared out', async (t) => {
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  const env = { DATABASE_URL: url, DATABASE_POOL_SIZE: '1', JWT_SECRET: SECRET }
  const server = await startWorkers(t, 2, { env })
  for (const { send } of await connectToWorkers(t, server, 2)) {
    t.match(await send('GET', '/readyz'), { status: 200 }, 'each has one at least')
  }
  t.strictSame(await stop(server), { code: 0, signal: null })
})
