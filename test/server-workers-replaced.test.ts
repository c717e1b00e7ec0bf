import { copyFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openConnection, request } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder } from './helpers/process.ts'
import type { RawConnection } from './helpers/raw-http.ts'
import { connectToWorkers, logged, startWorkers, stop, workersOf } from './helpers/supervised.ts'

const LIVEZ = 'GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'

t.test(
  'a worker that dies is replaced, and why is logged; what it had not taken goes to another',
  async (t) => {
    const server = await startWorkers(t, 2)
    const [first] = workersOf(server) as [number]
    // It takes nothing any more, and dies with a connection on its way to it.
    process.kill(first, 'SIGSTOP')
    const clients = [await openConnection(t, server.url), await openConnection(t, server.url)]
    for (const { send } of clients) send(LIVEZ)
    await poll('an answer', () => clients.some(({ received }) => received() !== ''))
    process.kill(first, 'SIGKILL')
    for (const { closed } of clients) t.match(await closed(), /^HTTP\/1\.1 200 OK\r\n/)

    const line = await poll('a line in the log', () =>
      logged(server).find(({ msg }) => msg === 'a worker ended'),
    )
    t.match(line, {
      pid: server.child.pid,
      level: 50,
      worker_pid: first,
      signal: 'SIGKILL',
      retry_in_ms: Number,
    })
    await poll('another worker', () => workersOf(server).length === 3)
    const connections = await connectToWorkers(t, server, 2)
    t.notOk(connections.some(({ pid }) => pid === first))
    t.strictSame(await stop(server), { code: 0, signal: null })
  },
)

t.test('a worker that stands still holds up nobody else, and answers when it goes on', async (t) => {
  const server = await startWorkers(t, 2)
  const [still] = workersOf(server) as [number]
  process.kill(still, 'SIGSTOP')
  const clients: RawConnection[] = []
  for (let i = 0; i < 4; i++) clients.push(await openConnection(t, server.url))
  for (const { send } of clients) send(LIVEZ)
  const answered = () => clients.filter(({ received }) => received() !== '').length
  await poll('the others', () => answered() === 3)

  // It gets one now and then, to see whether it goes on.
  const later: RawConnection[] = []
  await poll('another to be given to it', async () => {
    const client = await openConnection(t, server.url)
    client.send(LIVEZ)
    later.push(client)
    await poll('an answer', () => client.received() !== '', 300).catch(() => {})
    return client.received() === ''
  })
  t.equal(answered(), 3)
  process.kill(still, 'SIGCONT')
  await poll('the answers', () => answered() === 4)
  for (const { closed } of [...clients, ...later]) t.match(await closed(), /^HTTP\/1\.1 200 OK\r\n/)
  await connectToWorkers(t, server, 2)
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('where no worker is left a connection is closed, until there is one again', async (t) => {
  const server = await startWorkers(t, 2)
  for (const pid of workersOf(server)) process.kill(pid, 'SIGKILL')
  await poll('the deaths', () => logged(server).filter(({ msg }) => msg === 'a worker ended').length === 2)
  t.equal(await (await openConnection(t, server.url)).closed(), '')
  await poll('an answer', () =>
    request(server.url, '/livez').then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
  await connectToWorkers(t, server, 2)
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('a worker that can not be started is tried again, for as long as it takes', async (t) => {
  const folder = emptyFolder(t)
  const server = await startWorkers(t, 2, { folder })
  // SQLite takes a folder for no database.
  renameSync(join(folder, 'data'), join(folder, 'moved'))
  copyFileSync(import.meta.filename, join(folder, 'data'))
  const [first] = workersOf(server) as [number]
  process.kill(first, 'SIGKILL')
  const failures = () =>
    logged(server).filter(({ msg, exit_code }) => msg === 'a worker ended' && exit_code === 1)
  await poll('two failures', () => failures().length >= 2, 60_000)
  const waits = failures().map(({ retry_in_ms }) => Number(retry_in_ms))
  t.ok((waits[1] as number) >= 200, `with longer and longer pauses: ${waits}`)
  t.match(await request(server.url, '/livez'), { status: 200 }, 'the other serves meanwhile')

  renameSync(join(folder, 'data'), join(folder, 'file'))
  renameSync(join(folder, 'moved'), join(folder, 'data'))
  await connectToWorkers(t, server, 2)
  t.strictSame(await stop(server), { code: 0, signal: null })
})
