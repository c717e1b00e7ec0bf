import { connect, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { PASSWORD } from './service.ts'

/** What a client asks of a server that is a process of its own. */
export async function request(
  url: string,
  path: string,
  { body, token }: { body?: unknown; token?: string } = {},
): Promise<{ status: number; json: Record<string, unknown> }> {
  const reply = await fetch(`${url}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      // No socket stays open that would have to be drained.
      connection: 'close',
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: reply.status, json: Object(await reply.json()) }
}

/** Signs up, and returns the access token. */
export async function signUp(url: string, email: string): Promise<string> {
  const { status, json } = await request(url, '/auth/signup', { body: { email, password: PASSWORD } })
  if (status !== 201) throw new Error(`sign-up answered ${status}: ${JSON.stringify(json)}`)
  return Object(json.tokens).access_token
}

/** Logs in, and returns the access token. */
export async function logIn(url: string, email: string): Promise<string> {
  const { status, json } = await request(url, '/auth/login', { body: { email, password: PASSWORD } })
  if (status !== 200) throw new Error(`log-in answered ${status}: ${JSON.stringify(json)}`)
  return String(json.access_token)
}

/** A connection of one's own, to send what no HTTP client would. */
export interface RawConnection {
  readonly socket: Socket
  /** All that came back. */
  received(): string
}

/** @throws an Error whose code is ECONNREFUSED where nobody listens */
export async function openConnection(t: Test, url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  await new Promise<void>((connected, failed) => {
    socket.once('connect', connected)
    socket.once('error', failed)
  })
  // The server may cut it; the test sees that by what was received.
  socket.on('error', () => {})
  return { socket, received: () => received }
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = Object(server.address())
  await new Promise((closed) => server.close(closed))
  return port
}
