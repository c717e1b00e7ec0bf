import type { Test } from 'tap'
import { type Client, type ClientOptions, createClient } from '../../src/client/client.ts'
import { poll } from './poll.ts'
import { createService, type TestService } from './service.ts'

/** A service that listens, whose clock is the real one. */
export async function listeningService(
  t: Test,
  env: Record<string, string> = {},
): Promise<TestService & { readonly url: string }> {
  const clock = Object.assign(() => Date.now(), { advance() {} })
  const service = await createService(t, { env, clock })
  return { ...service, url: await service.app.listen({ host: '127.0.0.1', port: 0 }) }
}

/** Like localStorage: what stands here every tab sees. */
export function localItems() {
  const items = new Map<string, string>()
  return {
    items,
    getItem: (key: string) => items.get(key) ?? null,
    setItem(key: string, value: string) {
      items.set(key, value)
    },
    removeItem(key: string) {
      items.delete(key)
    },
  }
}

/** What stands between a page and the network: it sends a request on, or doesn't, and passes its answer, or doesn't. */
export type Network = (url: string, next: () => Promise<Response>, init: RequestInit) => Promise<Response>

export interface Tabs {
  /** What was sent, in its order. */
  readonly sent: { readonly route: string; readonly init: RequestInit; readonly token: string | null }[]
  readonly jar: Map<string, string>
  network: Network | undefined
  /** How often something was sent. */
  count(route: string): number
  readonly fetch: typeof fetch
  /** Opens a tab. It is closed when the test ends. */
  open(options: ClientOptions): Client
}

/**
 * As much of a browser as the client notices: what its tabs send is seen, its network can fail, and it keeps cookies.
 *
 * @param origin where its pages are from
 */
export function createTabs(t: Test, { origin = 'http://localhost:3000' } = {}): Tabs {
  const sent: Tabs['sent'] = []
  const jar = new Map<string, string>()

  function keepCookies(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/max-age=0\b/i.test(line)) jar.delete(name)
      else jar.set(name, value)
    }
  }

  const tabs: Tabs = {
    sent,
    jar,
    network: undefined,
    count: (route) => sent.filter((request) => request.route === route).length,
    async fetch(input, init = {}) {
      const [url, first] = input instanceof Request ? [input.url, input.method] : [String(input), 'GET']
      const headers = new Headers(init.headers)
      sent.push({
        route: `${init.method ?? first} ${new URL(url).pathname}`,
        init,
        token: headers.get('authorization'),
      })
      headers.set('origin', origin)
      headers.set('connection', 'close')
      const hasCookies = init.credentials === 'include'
      const next = async () => {
        const cookies = [...jar].map((pair) => pair.join('=')).join('; ')
        if (hasCookies && cookies !== '') headers.set('cookie', cookies)
        const response = await poll('an answer', async () => {
          const answer = await fetch(input instanceof Request ? input.clone() : input, { ...init, headers })
          // On a machine with much else to do it is too much for the service, which no test here is about.
          return (
            (answer.status !== 503 || Object(await answer.clone().json()).code !== 'overloaded') && answer
          )
        })
        if (hasCookies) keepCookies(response)
        return response
      }
      return tabs.network === undefined ? next() : tabs.network(url, next, init)
    },
    open(options) {
      const client = createClient({ fetch: tabs.fetch, ...options })
      t.teardown(client.close)
      return client
    },
  }
  return tabs
}

/** What happens to the session of a client, as `type` or `type: reason`. */
export function eventsOf(client: Client): string[] {
  const events: string[] = []
  client.onChange((event) => events.push('reason' in event ? `${event.type}: ${event.reason}` : event.type))
  return events
}
