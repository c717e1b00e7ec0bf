import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { poll } from './poll.ts'

const hopByHop = ['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding']

/**
 * A way to a server for programs that don't wait: on a machine with much else to do it has no time for strangers now and
 * then, and what it has refused so is asked again. All else passes as it is.
 *
 * @returns the address to ask instead
 */
export async function patientWay(t: Test, url: string): Promise<string> {
  const way = createServer(async (request, response) => {
    const body = await buffer(request)
    const reply = await poll(
      `an answer of ${request.url}`,
      async () => {
        const reply = await pass(url, request, body)
        return reply.text.includes('"code":"overloaded"') ? undefined : reply
      },
      30_000,
    )
    response.writeHead(reply.status, reply.headers).end(reply.text)
  })
  await new Promise<void>((listening) => way.listen(0, '127.0.0.1', listening))
  t.teardown(() => way.closeAllConnections())
  t.teardown(() => way.close())
  return `http://127.0.0.1:${(way.address() as AddressInfo).port}`
}

async function pass(
  url: string,
  { method = 'GET', url: path = '/', headers }: IncomingMessage,
  body: Buffer,
) {
  const reply = await fetch(url + path, {
    method,
    headers: passing(Object.entries(headers).map(([name, value]) => [name, String(value)])),
    ...(body.length > 0 && { body }),
  })
  return { status: reply.status, headers: passing([...reply.headers]), text: await reply.text() }
}

function passing(headers: readonly (readonly [name: string, value: string])[]): Record<string, string> {
  return Object.fromEntries(headers.filter(([name]) => !hopByHop.includes(name)))
}
