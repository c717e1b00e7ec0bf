import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import t, { type Test } from 'tap'
import { type Shedding, watchEventLoop } from '../../src/http/shedding.ts'
import { openConnection, request, signUp } from '../helpers/client.ts'
import { poll } from '../helpers/poll.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { PASSWORD } from '../helpers/service.ts'

const SOCKETS = 100
const PIPELINED = 50
const BEGINNING = 'HTTP/1.1 '

/**
 * Keeps a server's event loop busy with guarded requests, each good for itself. All of them come at once, and the next once
 * all are answered: who sends more as soon as it has an answer is read again before anybody else is, as libuv does.
 *
 * @returns a function that ends it
 */
async function keepBusy(t: Test, { url }: ServerProcess, token: string): Promise<() => Promise<void>> {
  const many = `GET /account HTTP/1.1\r\nHost: latchkey\r\nAuthorization: Bearer ${token}\r\n\r\n`.repeat(
    PIPELINED,
  )
  const connections = await Promise.all(Array.from({ length: SOCKETS }, () => openConnection(t, url)))
  let answered = 0
  const askAll = () => {
    answered = 0
    for (const { socket } of connections) socket.write(many)
  }
  for (const { socket } of connections) {
    // What a chunk ends with may be the beginning of an answer.
    let rest = ''
    socket.removeAllListeners('data').on('data', (chunk: string) => {
      const text = rest + chunk
      answered += text.split(BEGINNING).length - 1
      rest = text.slice(1 - BEGINNING.length)
      if (answered === SOCKETS * PIPELINED) askAll()
    })
  }
  askAll()
  return async () => {
    await Promise.all(connections.map(({ socket }) => once(socket.destroy(), 'close')))
  }
}

t.test(
  'a busy event loop refuses strangers, and never who has a token or asks whether it lives',
  async (t) => {
    const server = await startServer(t)
    const token = await signUp(server.url, 'ada@example.com')
    const end = await keepBusy(t, server, token)
    const strangers = {
      openapi: () => request(server.url, '/openapi.json'),
      login: () =>
        request(server.url, '/auth/login', { body: { email: 'ada@example.com', password: PASSWORD } }),
      signup: () =>
        request(server.url, '/auth/signup', { body: { email: 'new@example.com', password: PASSWORD } }),
      credential: () => request(server.url, '/auth/token', { body: { credential: 'none' } }),
    }
    for (const [name, ask] of Object.entries(strangers)) {
      const refused = await poll(
        `${name} to be refused`,
        async () => {
          const reply = await ask()
          return reply.status === 503 && reply
        },
        30_000,
      )
      t.match(refused.json, { code: 'overloaded' }, name)
    }
    for (const path of ['/me', '/livez', '/readyz', '/metrics', '/account']) {
      const reply = await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
      t.equal(reply.status, 200, path)
      await reply.text()
    }

    const since = performance.now()
    await end()
    for (const [name, ask] of Object.entries(strangers)) {
      await poll(`${name} to be let in again`, async () => (await ask()).status !== 503)
    }
    t.comment(`let in again after ${Math.round(performance.now() - since)} ms`)
  },
)

/** Watches this process's event loop until the test ends. */
function watch(t: Test, requireRoom = () => {}): Shedding {
  const { shed, start, stop } = watchEventLoop(requireRoom)
  start()
  t.teardown(stop)
  return shed
}

/** What a hook says to a request. */
function ask(hook: Shedding[keyof Shedding]): { code: string } | undefined {
  let said: unknown
  hook.call({} as never, {} as never, {} as never, (error) => {
    said = error
  })
  return said as { code: string } | undefined
}

/** Blocks this process's event loop again and again, until something holds. */
async function blockUntil(ms: number, holds: () => boolean): Promise<void> {
  const end = performance.now() + 10_000
  while (!holds() && performance.now() < end) {
    for (const start = performance.now(); performance.now() - start < ms; );
    await new Promise((next) => setImmediate(next))
  }
}

t.test('who has a session is refused after all others', async (t) => {
  const shed = watch(t)
  for (const hook of Object.values(shed)) t.equal(ask(hook), undefined, 'at rest nobody is')

  await blockUntil(200, () => ask(shed.strangers) !== undefined)
  t.match([ask(shed.strangers), ask(shed.hashing)], [{ code: 'overloaded' }, { code: 'overloaded' }])
  t.equal(ask(shed.sessions), undefined)

  await blockUntil(800, () => ask(shed.sessions) !== undefined)
  t.match(ask(shed.sessions), { code: 'overloaded' })

  await poll('everybody to be let in again', () =>
    Object.values(shed).every((hook) => ask(hook) === undefined),
  )
})

t.test('one long pause is nothing', async (t) => {
  const shed = watch(t)
  for (const start = performance.now(); performance.now() - start < 60; );
  const end = performance.now() + 300
  let refused = 0
  await poll('some looks or two', () => {
    if (ask(shed.strangers) !== undefined) refused++
    return performance.now() > end
  })
  t.equal(refused, 0)
})

t.test('where a password is to be hashed there has to be room for it', async (t) => {
  const full = new Error('full')
  const shed = watch(t, () => {
    throw full
  })
  t.equal(ask(shed.hashing), full)
  t.equal(ask(shed.strangers), undefined)
  t.equal(ask(shed.sessions), undefined)
})
