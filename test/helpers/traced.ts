import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Collector } from './otlp.ts'
import { type CliOptions, type ServerProcess, startServer } from './process.ts'
import { PASSWORD } from './service.ts'

/** A `latchkey serve` that sends traces. */
export interface TracedServer extends ServerProcess {
  /** Sends a request, with a JSON body if there is one and a Bearer token if there is one. */
  send(method: string, path: string, options?: SendOptions): Promise<Response>
  /** Signs up somebody new. @returns their address, and what they got */
  signUp(): Promise<{ readonly email: string; readonly token: string; readonly refreshToken: string }>
  /** Every line that was logged. */
  lines(): Record<string, unknown>[]
  /** Lets it drain, so that every span has been sent. */
  drained(): Promise<void>
}

interface SendOptions {
  readonly body?: unknown
  readonly token?: string
  readonly headers?: Record<string, string>
}

export async function startTraced(
  t: Test,
  collector: Pick<Collector, 'url'>,
  { env, ...options }: CliOptions = {},
): Promise<TracedServer> {
  const server = await startServer(t, {
    ...options,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...env },
  })

  const send: TracedServer['send'] = (method, path, { body, token, headers } = {}) =>
    fetch(server.url + path, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })

  return {
    ...server,
    send,
    async signUp() {
      const email = `${randomUUID()}@example.com`
      const reply = await send('POST', '/auth/signup', { body: { email, password: PASSWORD } })
      const { tokens } = (await reply.json()) as { tokens: Record<string, string> }
      return { email, token: String(tokens.access_token), refreshToken: String(tokens.refresh_token) }
    },
    lines: () =>
      server
        .stdout()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line)),
    async drained() {
      server.child.kill('SIGTERM')
      const { code } = await server.ended()
      if (code !== 0) throw new Error(`the server ended with ${code}: ${server.stdout()}${server.stderr()}`)
    },
  }
}
