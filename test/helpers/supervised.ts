import { randomUUID } from 'node:crypto'
import { Agent, request } from 'node:http'
import type { Test } from 'tap'
import { request as ask, openConnection, signUp } from './client.ts'
import { poll } from './poll.ts'
import { type CliOptions, type ServerProcess, startServer } from './process.ts'
import type { RawConnection } from './raw-http.ts'

/** What a server has logged, line by line. */
export function logged({ stdout }: Pick<ServerProcess, 'stdout'>): Record<string, unknown>[] {
  const lines = stdout().split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line))
}

/** Starts `latchkey serve` with so many workers, which log every request, and waits until it listens. */
export function startWorkers(t: Test, workers: number, { env, ...options }: CliOptions = {}) {
  return startServer(t, { ...options, env: { WORKERS: String(workers), LOG_REQUESTS: 'on', ...env } })
}

/** The process ids of the workers that a server has started up to now. */
export function workersOf(server: Pick<ServerProcess, 'stdout'>): number[] {
  return logged(server)
    .filter(({ msg }) => msg === 'opened the database')
    .map(({ pid }) => Number(pid))
}

/** The lines of a server's log that say so. */
export function said(server: Pick<ServerProcess, 'stdout'>, what: string): Record<string, unknown>[] {
  return logged(server).filter(({ msg }) => msg === what)
}

/** @returns whether the process runs, or has ended and nobody has asked how */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Stops a server as an operator does. @returns how it ended */
export function stop(server: ServerProcess, signal: NodeJS.Signals = 'SIGTERM') {
  server.child.kill(signal)
  return server.ended()
}

/** A connection that is kept, so all that goes by it goes to the same worker. */
export interface WorkerConnection {
  readonly pid: number
  /** @returns the status, and the code of a problem */
  send(method: 'GET' | 'POST', path: string, token?: string): Promise<{ status: number; code?: string }>
}

/** Connects until there is one connection to each of so many workers. */
export async function connectToWorkers(
  t: Test,
  server: ServerProcess,
  workers: number,
): Promise<WorkerConnection[]> {
  const byPid = new Map<number, WorkerConnection>()
  await poll('a connection to each worker', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const id = randomUUID()
    const { status } = await send(server.url, agent, 'GET', '/livez', { 'x-request-id': id })
    if (status !== 200) throw new Error(`/livez answered ${status}`)
    const { pid } = await poll('its line in the log', () =>
      logged(server).find(({ msg, request_id }) => msg === 'request' && request_id === id),
    )
    byPid.set(Number(pid), {
      pid: Number(pid),
      send: (method, path, token) =>
        send(
          server.url,
          agent,
          method,
          path,
          token === undefined ? {} : { authorization: `Bearer ${token}` },
        ),
    })
    return byPid.size === workers
  })
  return [...byPid.values()]
}

function send(url: string, agent: Agent, method: string, path: string, headers: Record<string, string>) {
  return new Promise<{ status: number; code?: string }>((resolve, reject) => {
    const sent = request(url + path, { method, headers, agent }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        const { code } = text === '' ? {} : JSON.parse(text)
        resolve({ status: response.statusCode as number, code })
      })
    })
    sent.on('error', reject)
    sent.end()
  })
}

/** A connection to each of two workers, on which most of a request was sent. */
export async function halfARequest(t: Test, server: ServerProcess): Promise<RawConnection[]> {
  const token = await signUp(server.url, 'ada@example.com')
  const connections: RawConnection[] = []
  for (let i = 0; i < 2; i++) {
    const connection = await openConnection(t, server.url)
    connection.send(`GET /me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n`)
    connections.push(connection)
  }
  // Sent later, answered first: both have arrived.
  for (let i = 0; i < 2; i++) await ask(server.url, '/livez')
  return connections
}

/** Sends the rest. @returns the answer */
export function finish({ send, closed }: RawConnection): Promise<string> {
  send('\r\n')
  return closed()
}
