import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { request } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder } from './helpers/process.ts'
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

/** A module for every process of a server, in which SIGWINCH makes an error that nobody catches. */
function withFault(t: Test): { NODE_OPTIONS: string } {
  const fault = join(emptyFolder(t), 'fault.mjs')
  writeFileSync(fault, "process.once('SIGWINCH', () => { throw new Error('the roof fell in') })")
  return { NODE_OPTIONS: `--import ${pathToFileURL(fault)}` }
}

t.test('when the supervisor is killed its workers finish and go', async (t) => {
  const server = await startWorkers(t, 2)
  const pids = workersOf(server)
  const underWay = await halfARequest(t, server)
  server.child.kill('SIGKILL')
  t.strictSame(await server.ended(), { code: null, signal: 'SIGKILL' })
  for (const connection of underWay) t.match(await finish(connection), /^HTTP\/1\.1 200 OK\r\n/)
  await poll('all to be gone', () => !pids.some(isAlive), 20_000)
  t.equal(said(server, 'drained').length, 2)
})

t.test('a worker with an error that nobody caught finishes, gets no more, and is replaced', async (t) => {
  const server = await startWorkers(t, 2, { env: withFault(t) })
  const [broken] = workersOf(server) as [number]
  process.kill(broken, 'SIGWINCH')
  const ended = await poll('its end', () => said(server, 'a worker ended')[0])
  t.match(ended, { worker_pid: broken, exit_code: 1 })
  t.match(server.stdout(), /"level":60,[^\n]*the roof fell in[^\n]*"msg":"an error nobody caught"/)
  const connections = await connectToWorkers(t, server, 2)
  t.notOk(connections.some(({ pid }) => pid === broken))
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('SIGTERM while a worker is on its way out by itself is no haste for it', async (t) => {
  const server = await startWorkers(t, 2, { env: withFault(t) })
  const underWay = await halfARequest(t, server)
  const [broken] = workersOf(server) as [number]
  process.kill(broken, 'SIGWINCH')
  await poll('the error', () => said(server, 'an error nobody caught').length === 1)
  for (let i = 0; i < 4; i++) t.match(await request(server.url, '/livez'), { status: 200 })
  server.child.kill('SIGTERM')
  await poll('both to drain', () => said(server, 'draining').length === 2)
  for (const answer of await Promise.all(underWay.map(finish))) t.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  t.strictSame(await server.ended(), { code: 0, signal: null })
  t.strictSame(said(server, 'a worker ended'), [])
})

t.test('an error that nobody caught in the supervisor lets all finish, and fails', async (t) => {
  const server = await startWorkers(t, 2, { env: withFault(t) })
  const underWay = await halfARequest(t, server)
  server.child.kill('SIGWINCH')
  await poll('both to drain', () => said(server, 'draining').length === 2)
  for (const answer of await Promise.all(underWay.map(finish))) t.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  t.strictSame(await server.ended(), { code: 1, signal: null })
  t.match(said(server, 'an error nobody caught'), [{ pid: server.child.pid, level: 60 }])
  t.notOk(workersOf(server).some(isAlive))
})
