import t, { type Test } from 'tap'
import { openConnection } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import type { ServerProcess } from './helpers/process.ts'
import { connectToWorkers, said, startWorkers, stop, workersOf } from './helpers/supervised.ts'

const LIVEZ = 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

/** Connects again and again, until so many connections were cut without an answer. */
async function connectUntilCut(t: Test, server: ServerProcess, times: number): Promise<void> {
  let cut = 0
  await poll(
    'connections to be cut',
    async () => {
      const client = await openConnection(t, server.url)
      client.send(LIVEZ)
      client.socket.once('close', () => {
        if (client.received() === '') cut++
      })
      await poll('an answer', () => client.received() !== '', 300).catch(() => {})
      return cut >= times
    },
    60_000,
  )
}

t.test('a worker that stood still for long goes on', async (t) => {
  const server = await startWorkers(t, 2)
  const [still] = workersOf(server) as [number]
  process.kill(still, 'SIGSTOP')
  // The first is on its way for good, the next is cut after 10 s.
  await connectUntilCut(t, server, 1)
  process.kill(still, 'SIGCONT')
  const connections = await connectToWorkers(t, server, 2)
  t.ok(connections.some(({ pid }) => pid === still))
  t.strictSame(said(server, 'a worker ended'), [])
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('a worker that stands still for ever is replaced', async (t) => {
  const server = await startWorkers(t, 2)
  const [still] = workersOf(server) as [number]
  process.kill(still, 'SIGSTOP')
  await connectUntilCut(t, server, 3)
  await poll('another worker', () => workersOf(server).length === 3)
  t.match(said(server, 'a worker ended'), [{ worker_pid: still, signal: 'SIGKILL' }])
  await connectToWorkers(t, server, 2)
  t.strictSame(await stop(server), { code: 0, signal: null })
})
