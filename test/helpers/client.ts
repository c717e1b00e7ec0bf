import { once } from 'node:events'
import type { Test } from 'tap'
import { poll } from './poll.ts'
import { connectPort, type RawConnection } from './raw-http.ts'
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

/** Asks until it isn't too much: who comes right after a flood, or on a machine with much else to do, tries again. */
async function requestInTime(url: string, path: string, body: object) {
  return poll(`an answer of ${path}`, async () => {
    const reply = await request(url, path, { body })
    return reply.json.code !== 'overloaded' && reply
  })
}

/** Signs up, and returns the access token. */
export async function signUp(url: string, email: string): Promise<string> {
  const { status, json } = await requestInTime(url, '/auth/signup', { email, password: PASSWORD })
  if (status !== 201) throw new Error(`sign-up answered ${status}: ${JSON.stringify(json)}`)
  return Object(json.tokens).access_token
}

/** Logs in, and returns the access token. */
export async function logIn(url: string, email: string): Promise<string> {
  const { status, json } = await requestInTime(url, '/auth/login', { email, password: PASSWORD })
  if (status !== 200) throw new Error(`log-in answered ${status}: ${JSON.stringify(json)}`)
  return String(json.access_token)
}

/**
 * A connection to a server that is a process of its own.
 *
 * @throws an Error whose code is ECONNREFUSED where nobody listens
 */
export async function openConnection(t: Test, url: string): Promise<RawConnection> {
  const connection = connectPort(t, Number(new URL(url).port))
  await once(connection.socket, 'connect')
  return connection
}
