import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A credential in its form; only the real service would look at it. */
export const CREDENTIAL = `lkc_${'A'.repeat(64)}`

/** How one request is answered. */
export type Answer = (response: ServerResponse, headers: IncomingHttpHeaders) => void

/** A server that answers as Latchkey's feed does, or as it never would. */
export interface FeedServer {
  readonly url: string
  /** What was asked, in order: method, path, and Last-Event-ID where there was one. */
  readonly asked: readonly string[]
}

/** What a server is to answer. The last of a list is repeated. */
export interface FeedScript {
  readonly tokens?: readonly Answer[]
  readonly streams: readonly Answer[]
}

/** Starts one. It is stopped when the test ends. */
export async function startFeedServer(
  t: Test,
  { tokens = [token], streams }: FeedScript,
): Promise<FeedServer> {
  const asked: string[] = []
  const turns = { tokens: 0, streams: 0 }
  const server = createServer(({ method, url, headers }, response) => {
    asked.push([method, url, headers['last-event-id']].filter((part) => part !== undefined).join(' '))
    const [kind, answers] =
      method === 'POST' ? (['tokens', tokens] as const) : (['streams', streams] as const)
    const answer = answers[Math.min(turns[kind]++, answers.length - 1)]
    answer?.(response, headers)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

/** The usual answer of POST /auth/token. */
export const token: Answer = (response) => {
  response.end(JSON.stringify({ access_token: 'a.b.c', token_type: 'Bearer', expires_in: 600 }))
}

/** An answer of a status, with a body. */
export function answer(status: number, body: string | Buffer = '', contentType = 'text/html'): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': contentType }).end(body)
  }
}

/** A stream of these texts that then stays open, unless `end` says otherwise. */
export function stream(texts: readonly (string | Buffer)[], { end = false } = {}): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const text of texts) response.write(text)
    if (end) response.end()
  }
}

/** An event that tells these entries. */
export function told(cursor: string, revocations: readonly unknown[]): string {
  return `id: ${cursor}\nevent: revocations\ndata: ${JSON.stringify({ revocations })}\n\n`
}

/** The event after which all has been told. */
export function alive(age: unknown = 0): string {
  return `event: alive\ndata: ${JSON.stringify({ age })}\n\n`
}
