// Run by `npm run test:faults`: users whose access tokens live for 2 s instead of 10 min, while nodes are killed, stopped
// and started, the database goes and comes, and answers are lost: nobody who has a session is signed out. SOAK says for
// how many seconds; 1800 are half an hour.
import { randomInt, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { asyncStorage, type Client, type ClientOptions, webStorage } from '../../src/client/client.ts'
import { freePort } from '../helpers/free-port.ts'
import { poll } from '../helpers/poll.ts'
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { PASSWORD, SECRET } from '../helpers/service.ts'
import { createTabs, localItems } from '../helpers/tabs.ts'

const SOAK = Number(process.env.SOAK ?? 60) * 1_000
// Milliseconds: whatever is away comes back in time for the service to give lost tokens again, which it does for 10 s.
const LONGEST_OUTAGE = 2_000
const LONGEST_CALM = 3_000
/** Of so many answers one is lost. */
const LOST = 20
const USERS = 2
const TABS = 3
/** Of so many requests one is a reload of the page. */
const RELOAD = 50

const outages: Record<string, number> = {}
const signedOut: string[] = []
const total = { answered: 0, failed: 0, refreshes: 0, lost: 0, reloads: 0 }

/** A node that can be started again where it was. */
async function createNode(t: Test, postgres: PostgresServer) {
  const env = {
    PORT: String(await freePort()),
    DATABASE_URL: postgres.url,
    JWT_SECRET: SECRET,
    ACCESS_TOKEN_TTL: '2s',
  }
  let server: ServerProcess
  const start = async () => {
    server = await startServer(t, { env })
  }
  await start()
  return {
    url: `http://127.0.0.1:${env.PORT}`,
    start,
    async end(signal: 'SIGKILL' | 'SIGTERM') {
      server.child.kill(signal)
      await server.ended()
    },
  }
}

/** One thing after the other goes away, and comes back. */
async function makeTrouble(
  node: Awaited<ReturnType<typeof createNode>>,
  postgres: PostgresServer,
  isOver: () => boolean,
) {
  const restart = async (signal: 'SIGKILL' | 'SIGTERM') => {
    await node.end(signal)
    await sleep(randomInt(LONGEST_OUTAGE))
    await node.start()
  }
  const troubles = {
    'node killed': () => restart('SIGKILL'),
    'node stopped': () => restart('SIGTERM'),
    async 'database killed'() {
      await postgres.kill()
      await sleep(randomInt(LONGEST_OUTAGE))
      await postgres.start()
    },
    async 'database hangs'() {
      const thaw = await postgres.freeze()
      await sleep(randomInt(LONGEST_OUTAGE))
      thaw()
    },
  }
  const names = Object.keys(troubles) as (keyof typeof troubles)[]
  while (!isOver()) {
    await sleep(randomInt(LONGEST_CALM))
    const name = names[randomInt(names.length)] as keyof typeof troubles
    outages[name] = (outages[name] ?? 0) + 1
    await troubles[name]()
  }
}

/** A browser with some tabs, or a telephone with one, in which somebody is signed in. */
async function createUser(t: Test, url: string, kind: 'body' | 'cookie' | 'telephone') {
  const browser = createTabs(t)
  // What tabs share is named after baseUrl, and here all users share a process: each has another name for the node.
  const baseUrl = `http://${randomUUID()}.example`
  const items = localItems()
  const keychain = asyncStorage({
    getItem: async (key) => items.getItem(key),
    setItem: async (key, value) => items.setItem(key, value),
    removeItem: async (key) => items.removeItem(key),
  })
  const options: ClientOptions = {
    baseUrl,
    storage: kind === 'telephone' ? keychain : webStorage(items),
    transport: kind === 'cookie' ? 'cookie' : 'body',
  }
  const gone = new Set<Client>()
  const open = () => {
    // A page that was left hears no answer and asks nothing.
    const orGone = <Result>(result: Result) => {
      if (gone.has(client)) throw new Error('the page is gone')
      return result
    }
    const send: typeof fetch = async (input, init) =>
      orGone(await browser.fetch(orGone(String(input)).replace(baseUrl, url), init))
    const client: Client = browser.open({ ...options, fetch: send })
    client.onChange((event) => {
      if (event.type === 'signed_out') signedOut.push(`${kind}: ${event.reason}`)
    })
    return client
  }
  const first = open()
  await first.signUp({ email: `${randomUUID()}@example.com`, password: PASSWORD })
  browser.network = async (_, next) => {
    const response = await next()
    if (randomInt(LOST) > 0) return response
    total.lost++
    throw new TypeError('fetch failed')
  }
  const tabs = Array.from({ length: kind === 'telephone' ? 1 : TABS }, (_, index) => (index ? open() : first))

  /** @returns the tab, or the page after its reload */
  async function reload(client: Client): Promise<Client> {
    total.reloads++
    client.close()
    gone.add(client)
    const next = open()
    for (;;) {
      const found = await next.restore().catch(() => undefined)
      if (found === false) signedOut.push(`${kind}: not found after a reload`)
      if (found !== undefined) return next
      await sleep(100)
    }
  }

  async function use(first: Client, isOver: () => boolean): Promise<Client> {
    let client = first
    while (!isOver()) {
      await sleep(randomInt(100))
      if (randomInt(RELOAD) === 0) client = await reload(client)
      const call = randomInt(4) === 0 ? client.account.read() : client.me()
      await call.then(
        () => total.answered++,
        () => total.failed++,
      )
    }
    return client
  }

  return async (isOver: () => boolean) => {
    const open = await Promise.all(tabs.map((tab) => use(tab, isOver)))
    browser.network = undefined
    for (const tab of signedOut.length > 0 ? [] : open)
      await poll(`${kind} to be let in`, () => tab.me().catch(() => false as const), 60_000)
    total.refreshes += browser.count('POST /auth/refresh')
  }
}

t.test('nobody who has a session is signed out', { timeout: SOAK + 180_000 }, async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.destroy())
  const node = await createNode(t, postgres)
  const users = []
  for (const kind of ['body', 'cookie', 'telephone'] as const) {
    for (let i = 0; i < USERS; i++) users.push(await createUser(t, node.url, kind))
  }
  const end = Date.now() + SOAK
  const isOver = () => Date.now() > end
  await Promise.all([makeTrouble(node, postgres, isOver), ...users.map((use) => use(isOver))])

  t.strictSame(signedOut, [])
  t.ok(total.answered > 0 && total.refreshes > SOAK / 4_000, JSON.stringify(total))
  t.comment(`${SOAK / 1_000} s: ${JSON.stringify({ ...total, ...outages })}`)
})
