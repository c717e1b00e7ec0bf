// A flood of requests, out of a process of its own: what keeps it busy isn't measured elsewhere.
import { spawn } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** A request that is sent again and again. In headers and body `{n}` stands for a number that grows, `{ip}` for an address by it. */
export interface FloodRequest {
  /** Such as `POST /auth/login`. */
  readonly line: string
  readonly headers?: readonly string[]
  readonly body?: string
}

export interface Flood {
  readonly port: number
  readonly connections: number
  /** Requests a second, whether or not those before were answered; 0 is as fast as they are answered. */
  readonly rate: number
  /** Milliseconds. */
  readonly duration: number
  /** They are sent in turns. */
  readonly requests: readonly FloodRequest[]
}

/** For each status, and `none` where no answer came, the milliseconds from when a request was due to its answer. */
export type FloodTimes = Readonly<Record<string, readonly number[]>>

/** Milliseconds that the last requests get to be answered. */
const PATIENCE = 2_500

/** Milliseconds between two looks at what is due. */
const TICK = 1

/** Sends a flood. @returns when it is over */
export async function flood(order: Flood): Promise<FloodTimes> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    // tap's coverage has nothing to do there.
    env: {},
  })
  let written = ''
  for await (const chunk of child.stdout) written += chunk
  return JSON.parse(written)
}

async function send({ port, connections, rate, duration, requests }: Flood): Promise<FloodTimes> {
  const times: Record<string, number[]> = {}
  const idle: Lane[] = []
  const due: number[] = []
  let count = 0
  let ended = false

  function compose(): string {
    const { line, headers = [], body = '' } = requests[count % requests.length] as FloodRequest
    count++
    const address = `10.${(count >> 16) & 255}.${(count >> 8) & 255}.${count & 255}`
    const fill = (text: string) => text.replaceAll('{n}', String(count)).replaceAll('{ip}', address)
    const filled = fill(body)
    const content =
      body === '' ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(filled)}`]
    return [`${line} HTTP/1.1`, 'Host: latchkey', ...headers.map(fill), ...content, '', filled].join('\r\n')
  }

  function note(status: string, dueAt: number): void {
    times[status] ??= []
    times[status].push(performance.now() - dueAt)
  }

  function use(lane: Lane): void {
    const next = rate === 0 ? performance.now() : due.shift()
    if (ended || next === undefined) idle.push(lane)
    else lane.ask(compose(), next)
  }

  const onAnswer = (lane: Lane, status: string, dueAt: number) => {
    note(status, dueAt)
    use(lane)
  }
  const lanes = await Promise.all(Array.from({ length: connections }, () => openLane(port, onAnswer)))
  const start = performance.now()
  for (const lane of lanes) use(lane)
  for (let begun = 0; performance.now() - start < duration; await sleep(TICK)) {
    for (; begun < ((performance.now() - start) * rate) / 1_000; begun++) {
      due.push(start + (begun * 1_000) / rate)
      const lane = idle.pop()
      if (lane !== undefined) use(lane)
    }
  }
  for (; performance.now() - start < duration + PATIENCE && idle.length < connections; await sleep(TICK)) {
    ended = rate === 0
  }
  ended = true
  for (const { waitsSince } of lanes) if (waitsSince() !== undefined) note('none', waitsSince() as number)
  for (const at of due) note('none', at)
  return times
}

/** A connection on which one request is answered before the next is sent. */
interface Lane {
  ask(text: string, dueAt: number): void
  /** When the request was due that is not answered yet. */
  waitsSince(): number | undefined
}

async function openLane(
  port: number,
  onAnswer: (lane: Lane, status: string, dueAt: number) => void,
): Promise<Lane> {
  let waitsSince: number | undefined
  let received = ''
  let socket: Socket | undefined
  const lane: Lane = {
    ask(text, dueAt) {
      waitsSince = dueAt
      received = ''
      socket?.write(text)
    },
    waitsSince: () => waitsSince,
  }

  function open(): Promise<void> {
    return new Promise((opened) => {
      socket = connect(port, '127.0.0.1', opened)
      socket.setEncoding('latin1').setNoDelay(true)
      socket.on('error', () => {})
      socket.on('data', (text) => {
        received += text
        const [head = '', body] = received.split(/\r\n\r\n(.*)/s)
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
        if (body === undefined || body.length < length || waitsSince === undefined) return
        const dueAt = waitsSince
        waitsSince = undefined
        onAnswer(lane, head.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3), dueAt)
      })
      socket.on('close', async () => {
        await open()
        if (waitsSince === undefined) return
        const dueAt = waitsSince
        waitsSince = undefined
        onAnswer(lane, 'none', dueAt)
      })
    })
  }

  await open()
  return lane
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const order = process.argv[2] as string
  const times = await send(JSON.parse(order))
  process.stdout.write(JSON.stringify(times), () => process.exit(0))
}
