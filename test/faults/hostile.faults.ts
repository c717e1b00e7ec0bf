// Run by `npm run test:faults`: what slow and hostile clients do to a server, and to who is beside them.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { at, bystander, residentMemory } from '../helpers/bystander.ts'
import { openEventStream } from '../helpers/event-stream.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { SECRET } from '../helpers/service.ts'

const CROWD = 1_000
const TRICKLE = 500

// headersTimeout and requestTimeout of src/app.ts, and http/unread.ts, each with the 5 s between two looks and a busy
// machine's slack.
const CUT_HEADERS = 17_000
const CUT_BODY = 22_000
const CUT_UNREAD = 40_000

/** Milliseconds in which whoever is beside them is served, on two busy cores. */
const BESIDE = 250

const claims = () => ({ ...goodClaims(Date.now()), exp: Math.floor(Date.now() / 1_000) + 600 })
const goodToken = () => handMade(goodHeader, { ...claims(), jti: randomBytes(8).toString('hex') })

function start(t: Test): Promise<ServerProcess> {
  return startServer(t, { env: { JWT_SECRET: SECRET } })
}

async function connectTo(t: Test, { url }: ServerProcess): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  // That it is cut is what is waited for.
  socket.on('error', () => {})
  return socket
}

// A few at a time: of those that overflow the line in front of a listener some only seem to be connected.
async function connectMany(t: Test, server: ServerProcess, count: number): Promise<Socket[]> {
  const sockets: Socket[] = []
  while (sockets.length < count) {
    sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => connectTo(t, server)))))
  }
  return sockets
}

// Not once(): that would take an error for the end of the wait.
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()))
}

/** How a crowd of sockets ended. */
interface Crowd {
  /** Milliseconds until each was cut, in ascending order. */
  readonly lives: number[]
  /** How many were told 408. */
  told: number
}

/** Sockets that begin alike and then send a byte now and then, or nothing. @returns once all were cut */
async function crowd(t: Test, server: ServerProcess, begin: string, byte: string): Promise<Crowd> {
  const result: Crowd = { lives: [], told: 0 }
  const sockets = await connectMany(t, server, CROWD)
  await Promise.all(
    sockets.map(async (socket) => {
      const since = performance.now()
      if (begin !== '') socket.write(begin)
      const trickle = setInterval(() => byte !== '' && socket.writable && socket.write(byte), TRICKLE)
      socket.once('data', (data) => {
        if (data.toString().startsWith('HTTP/1.1 408 ')) result.told++
      })
      await closed(socket)
      clearInterval(trickle)
      result.lives.push(performance.now() - since)
    }),
  )
  result.lives.sort((a, b) => a - b)
  return result
}

/** Sockets that ask for much, and read none of it. @returns milliseconds until the server had cut the last */
async function crowdOfNonReaders(t: Test, server: ServerProcess, count: number): Promise<number> {
  const sockets = await connectMany(t, server, count)
  const since = performance.now()
  const resets = sockets.map(async (socket) => {
    socket.pause()
    socket.write('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200))
    // Who doesn't read doesn't see the end either, but is told so when writing into it.
    const pushing = setInterval(() => socket.write('G'), 500)
    t.teardown(() => clearInterval(pushing))
    await closed(socket)
    clearInterval(pushing)
  })
  await Promise.all(resets)
  return performance.now() - since
}

t.test('thousands of slow clients are cut in time, and others are served', async (t) => {
  const server = await start(t)
  const token = goodToken()
  const stopIdle = await bystander(t, server, '/me', token)
  await sleep(1_000)
  const idle = await stopIdle()
  const before = residentMemory(server)
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, residentMemory(server))
  }, 100)
  t.teardown(() => clearInterval(watch))

  const feedToken = handMade(goodHeader, { ...claims(), scope: 'revocations:read' })
  const reading = await openEventStream(t, `${server.url}/revocations`, {
    authorization: `Bearer ${feedToken}`,
  })
  const unread = await connectMany(t, server, 100)
  for (const socket of unread) {
    socket.pause()
    socket.write(
      `GET /revocations HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${feedToken}\r\n\r\n`,
    )
  }

  const stop = await bystander(t, server, '/me', token)
  const head = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  const [headers, bodies, silent, nonReaders] = await Promise.all([
    crowd(t, server, `${head}X-Slow: `, 'a'),
    crowd(t, server, `${head}Content-Length: 1000\r\n\r\n{`, ' '),
    crowd(t, server, '', ''),
    crowdOfNonReaders(t, server, 50),
  ])
  const served = await stop()
  const ended = { ...claims(), sid: '019b79a5-2a00-7d10-8b3f-a4c5e6d7f809' }
  const logOut = { method: 'POST', headers: { authorization: `Bearer ${handMade(goodHeader, ended)}` } }
  t.equal((await fetch(`${server.url}/auth/logout`, logOut)).status, 204)
  await reading.event('revocations')

  for (const [name, { lives, told }, most] of [
    ['slow headers', headers, CUT_HEADERS],
    ['slow bodies', bodies, CUT_BODY],
    ['nothing at all', silent, CUT_HEADERS],
  ] as const) {
    t.comment(
      `${CROWD} with ${name}: cut after ${Math.round(lives[0] ?? 0)} to ${at(lives, 1)} ms, ${told} told so by 408`,
    )
    t.equal(lives.length, CROWD)
    t.ok(at(lives, 1) < most, `${name}: the last was cut after ${at(lives, 1)} ms`)
  }
  t.comment(`50 that ask and don't read: all cut after ${at([nonReaders], 1)} ms`)
  t.ok(nonReaders < CUT_UNREAD)
  t.comment('beside them /me', served, 'without them', idle)
  t.equal(served.failed, 0)
  t.ok(served.p99 < BESIDE, `p99 ${served.p99} ms`)
  t.comment(`memory: ${before} MiB before, ${most} MiB at most, ${residentMemory(server)} MiB after`)
  t.ok(most - before < 250, `it grew by ${most - before} MiB`)
})

/** Sends requests, a hundred in a piece, on a few connections. @returns how often each status was answered */
async function flood(
  t: Test,
  server: ServerProcess,
  count: number,
  request: (index: number) => string,
): Promise<Record<string, number>> {
  const statuses: Record<string, number> = {}
  let next = 0
  async function send(socket: Socket): Promise<void> {
    socket.setEncoding('latin1')
    while (next < count) {
      const size = Math.min(100, count - next)
      const piece = Array.from({ length: size }, () => request(next++)).join('')
      socket.write(piece, 'latin1')
      for (let answered = 0, tail = ''; answered < size; ) {
        const [text] = (await once(socket, 'data')) as [string]
        const seen = tail + text
        for (const [, status = ''] of seen.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
          answered++
          statuses[status] = (statuses[status] ?? 0) + 1
        }
        // A status line may be cut in two; one that was seen isn't counted again.
        tail = /H[^\n]{0,12}$/.exec(seen)?.[0] ?? ''
        if (/HTTP\/1\.1 \d{3} /.test(tail)) tail = ''
      }
    }
  }
  await Promise.all(Array.from({ length: 4 }, async () => send(await connectTo(t, server))))
  return statuses
}

t.test('a hundred thousand Authorization values leave nothing behind', async (t) => {
  const server = await start(t)
  const token = goodToken()
  const get = (fields: string) => `GET /me HTTP/1.1\r\nHost: x\r\n${fields}\r\n\r\n`
  const bearer = (text: string) => get(`Authorization: Bearer ${text}`)
  const forged = token.slice(0, -43)
  const kinds = [
    () => bearer(forged + randomBytes(32).toString('base64url')),
    () => bearer(randomBytes(60).toString('base64url')),
    () => get(`Authorization: ${randomBytes(30).toString('base64url')}`),
    () => bearer(`${randomBytes(700).toString('base64url')}.${randomBytes(300).toString('base64url')}.x`),
  ]
  const hostile = (index: number) => (kinds[index % kinds.length] as () => string)()

  const steps = {
    '20,000 to warm up': () => flood(t, server, 20_000, hostile),
    '100,000 Authorization values': () => flood(t, server, 100_000, hostile),
    '12,000 good tokens': () => flood(t, server, 12_000, () => bearer(goodToken())),
    '10,000 X-Request-Id': () =>
      flood(t, server, 10_000, (index) => get(`X-Request-Id: ${index}-${randomBytes(40).toString('hex')}`)),
  }
  const memory: number[] = []
  for (const [name, step] of Object.entries(steps)) {
    const stop = await bystander(t, server, '/me', token)
    const begun = performance.now()
    const statuses = await step()
    const took = performance.now() - begun
    const served = await stop()
    memory.push(residentMemory(server))
    t.comment(`${name}: ${Math.round(took)} ms`, statuses, 'beside them /me', served, `${memory.at(-1)} MiB`)
    t.equal(served.failed, 0, name)
    t.ok(served.p99 < BESIDE, `p99 ${served.p99} ms`)
    const expected = name.includes('good') ? ['200'] : ['401']
    t.strictSame(Object.keys(statuses), expected, name)
  }
  const [warm = 0, after = 0, full = 0] = memory
  t.ok(after - warm < 32, `what was refused is not kept: ${after - warm} MiB`)
  t.ok(full - after < 128, `of what was let in a bounded number is: ${full - after} MiB`)
})

t.test('two thousand connections with garbage are refused, each at once', async (t) => {
  const server = await start(t)
  const stop = await bystander(t, server, '/me', goodToken())
  const beginnings = [
    '',
    '\x16\x03\x01\x02\x00',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: \0',
  ]
  const lives: number[] = []
  let answered = 0
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const socket = await connectTo(t, server)
        const since = performance.now()
        socket.once('data', (data) => {
          if (data.toString().startsWith('HTTP/1.1 4')) answered++
        })
        // The line's end makes garbage of what could have been the beginning of a method.
        socket.write(
          Buffer.concat([
            Buffer.from(beginnings[index % 4] as string),
            randomBytes(512),
            Buffer.from('\r\n\r\n'),
          ]),
        )
        await closed(socket)
        lives.push(performance.now() - since)
      }),
    )
  }
  lives.sort((a, b) => a - b)
  const served = await stop()
  t.comment(`2,000 cut after ${at(lives, 0.5)} ms (median) to ${at(lives, 1)} ms, ${answered} told why`)
  t.comment('beside them /me', served)
  t.equal(served.failed, 0)
  t.ok(at(lives, 1) < 2_000)
  t.ok(served.p99 < BESIDE, `p99 ${served.p99} ms`)
})
