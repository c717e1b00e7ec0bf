import { type AddressInfo, connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { poll } from './poll.ts'

/** A connection on which bytes are sent as they are. */
export interface RawConnection {
  readonly socket: Socket
  send(text: string): void
  /** Everything that was received up to now. */
  received(): string
  /** Waits until the other side has closed. @returns everything that was received */
  closed(deadline?: number): Promise<string>
}

/** Connects to an app that listens. The connection is cut when the test ends. */
export function connectRaw(t: Test, app: FastifyInstance): RawConnection {
  return connectPort(t, (app.server.address() as AddressInfo).port)
}

/** Connects to whoever listens on a port of this machine. The connection is cut when the test ends. */
export function connectPort(t: Test, port: number): RawConnection {
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let received = ''
  let closed = false
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    received += text
  })
  // That the other side closes while this one still sends is no fault.
  socket.on('error', () => {})
  socket.on('close', () => {
    closed = true
  })
  return {
    socket,
    send: (text) => socket.write(text, 'latin1'),
    received: () => received,
    closed: (deadline) => poll('the connection to be closed', () => closed && received, deadline),
  }
}

/** An HTTP/1.1 response as it came: its status, its header fields by lower-case name, its body. */
export function parseResponse(text: string): {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
} {
  const [head = '', body = ''] = text.split(/\r\n\r\n(.*)/s)
  const [statusLine = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line): [string, string] => {
    const [name = '', value = ''] = line.split(/: *(.*)/)
    return [name.toLowerCase(), value]
  })
  return { status: Number(statusLine.split(' ')[1]), headers: Object.fromEntries(headers), body }
}

/** Every response of a connection, in the order in which they came; each says its length. */
export function parseResponses(text: string): ReturnType<typeof parseResponse>[] {
  const responses: ReturnType<typeof parseResponse>[] = []
  for (let rest = text; rest !== ''; ) {
    const response = parseResponse(rest)
    const length = Number(response.headers['content-length'] ?? 0)
    responses.push({ ...response, body: response.body.slice(0, length) })
    rest = response.body.slice(length)
  }
  return responses
}
