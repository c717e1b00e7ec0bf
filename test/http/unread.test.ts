import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { cutUnread } from '../../src/http/unread.ts'
import { poll } from '../helpers/poll.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'

/** A server with large answers that looks often, and how many connections it has. */
async function listen(t: Test): Promise<{ server: Server; port: number; count: () => Promise<number> }> {
  const server = createServer((_request, response) => response.end(Buffer.alloc(1_000_000)))
  const stop = cutUnread(server, { every: 20, longest: 200 })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    stop()
    server.closeAllConnections()
    server.close()
  })
  const count = () => new Promise<number>((resolve) => server.getConnections((_error, n) => resolve(n)))
  return { server, port: (server.address() as AddressInfo).port, count }
}

function open(t: Test, port: number): Socket {
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  t.teardown(() => socket.destroy())
  return socket
}

t.test('who asks much and reads nothing is cut', async (t) => {
  const { port, count } = await listen(t)
  const socket = open(t, port).pause()
  socket.write(REQUEST.repeat(100))
  await poll('the connection', async () => (await count()) === 1)
  await poll('its end', async () => (await count()) === 0)
})

t.test('who reads, or waits without asking, is not', async (t) => {
  const { port, count } = await listen(t)
  const idle = open(t, port)
  const reader = open(t, port)
  let received = 0
  reader.on('data', (chunk) => {
    received += chunk.length
  })
  reader.write(REQUEST.repeat(50))
  const hostile = open(t, port).pause()
  hostile.write(REQUEST.repeat(100))
  await poll('the end of who reads nothing', () => hostile.closed || count().then((n) => n === 2))
  await poll('all of it', () => received > 50_000_000)
  t.notOk(idle.destroyed)
  t.equal(await count(), 2)
})
