import t from 'tap'
import { openConnection } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import {
  connectToWorkers,
  finish,
  halfARequest,
  isAlive,
  said,
  startWorkers,
  stop,
  workersOf,
} from './helpers/supervised.ts'

const LIVEZ = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'

t.test('SIGTERM lets every worker finish, and who connects meanwhile is heard', async (t) => {
  const server = await startWorkers(t, 2)
  const underWay = await halfARequest(t, server)
  server.child.kill('SIGTERM')
  await poll('both to drain', () => said(server, 'draining').length === 3)
  const late = await openConnection(t, server.url)
  late.send(LIVEZ)
  t.match(await late.closed(), /^HTTP\/1\.1 200 OK\r\n[\s\S]*Connection: close\r\n/)
  await poll('the end of listening', () =>
    openConnection(t, server.url).then(
      ({ socket }) => socket.destroy() && false,
      (error) => error.code === 'ECONNREFUSED',
    ),
  )
  for (const answer of await Promise.all(underWay.map(finish))) t.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  t.strictSame(await server.ended(), { code: 0, signal: null })
  t.equal(said(server, 'drained').length, 3)
  t.strictSame(said(server, 'a worker ended'), [], 'and none is taken for dead')
  t.notOk(workersOf(server).some(isAlive))
})

t.test('a signal to the whole process group is one signal', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const server = await startWorkers(t, 2)
    const underWay = await halfARequest(t, server)
    for (const pid of [...workersOf(server), server.child.pid as number]) process.kill(pid, signal)
    await poll('both to drain', () => said(server, 'draining').length === 3)
    for (const answer of await Promise.all(underWay.map(finish))) t.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    t.strictSame(await server.ended(), { code: 0, signal: null })
    t.equal(workersOf(server).length, 2, 'nobody was replaced')
  }
})

t.test('a worker leaves signals to its supervisor', async (t) => {
  const server = await startWorkers(t, 2)
  for (const pid of workersOf(server)) process.kill(pid, 'SIGTERM')
  for (const { send } of await connectToWorkers(t, server, 2)) {
    t.match(await send('GET', '/readyz'), { status: 200 })
  }
  t.strictSame(said(server, 'draining'), [])
  t.strictSame(await stop(server, 'SIGINT'), { code: 0, signal: null })
})

t.test('a second signal ends all of them at once', async (t) => {
  const server = await startWorkers(t, 2)
  await halfARequest(t, server)
  server.child.kill('SIGTERM')
  await poll('both to drain', () => said(server, 'draining').length === 3)
  const asked = Date.now()
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended(), { code: 1, signal: null })
  await poll('all to be gone', () => !workersOf(server).some(isAlive))
  t.ok(Date.now() - asked < 5_000)
})

t.test('a client that is too slow is cut off, and all are gone within 10 s', async (t) => {
  const server = await startWorkers(t, 2)
  await halfARequest(t, server)
  const asked = Date.now()
  t.strictSame(await stop(server), { code: 0, signal: null })
  const took = Date.now() - asked
  t.ok(took > 5_000, 'it had its time')
  t.ok(took < 10_000, `and no more: ${took} ms`)
})

t.test('SIGTERM while a worker waits to be replaced waits for nobody', async (t) => {
  const server = await startWorkers(t, 2)
  const [killed, stays] = workersOf(server) as [number, number]
  process.kill(killed, 'SIGKILL')
  await poll('its end', () => said(server, 'a worker ended').length === 1)
  server.child.kill('SIGTERM')
  t.strictSame(await server.ended(), { code: 0, signal: null })
  t.notOk(isAlive(stays))
})
