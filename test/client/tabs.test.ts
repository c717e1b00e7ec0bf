import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { type Client, type ClientOptions, webStorage } from '../../src/client/client.ts'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { createTabs, eventsOf, listeningService, localItems } from '../helpers/tabs.ts'

const REFRESH = 'POST /auth/refresh'
const newForm = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD })

/** Takes a global away, as on a page that doesn't have it. */
function without(t: Test, name: 'navigator' | 'BroadcastChannel') {
  const own = Object.getOwnPropertyDescriptor(globalThis, name) as PropertyDescriptor
  t.teardown(() => Object.defineProperty(globalThis, name, own))
  Object.defineProperty(globalThis, name, { value: undefined, configurable: true })
}

/** Ten tabs of one browser, the first of which has just signed in. */
async function tenTabs(t: Test, transport: 'body' | 'cookie') {
  const service = await listeningService(t, { ACCESS_TOKEN_TTL: '4s' })
  const browser = createTabs(t)
  const items = localItems()
  const options: ClientOptions = { baseUrl: service.url, storage: webStorage(items), transport }
  const clients = Array.from({ length: 10 }, () => browser.open(options))
  const [first] = clients as [Client]
  await first.signUp(newForm())
  t.strictSame(await Promise.all(clients.map((client) => client.restore())), Array(10).fill(true))
  return { ...service, browser, items, clients, first }
}

/**
 * Uses all tabs all the time, until the third token after the first has reached all of them, or on a slow machine a later
 * one.
 *
 * @returns how many refreshes were sent, and how many new tokens were seen
 */
async function threeExpiries({ clients, browser }: Awaited<ReturnType<typeof tenTabs>>) {
  const seen = new Set<string>()
  await poll(
    'three expiries',
    async () => {
      const ids = await Promise.all(clients.map((client) => client.me().then(({ jti }) => jti)))
      for (const id of ids) seen.add(id)
      return seen.size >= 4 && new Set(ids).size === 1
    },
    40_000,
  )
  return { refreshes: browser.count(REFRESH), expiries: seen.size - 1 }
}

for (const transport of ['body', 'cookie'] as const) {
  t.test(`${transport}: ten tabs send one refresh for each expiry`, async (t) => {
    const { refreshes, expiries } = await threeExpiries(await tenTabs(t, transport))
    t.equal(refreshes, expiries)
    t.comment(`${transport}: 10 tabs sent ${refreshes} refreshes over ${expiries} expiries`)
  })
}

t.test('so they do where there are no Web Locks', async (t) => {
  without(t, 'navigator')
  const { refreshes, expiries } = await threeExpiries(await tenTabs(t, 'body'))
  t.equal(refreshes, expiries)
})

t.test('a lock that nobody has any more is taken over', async (t) => {
  without(t, 'navigator')
  const { url } = await listeningService(t)
  for (const left of ['x', `${Date.now() - 1}:1`, `${Date.now() + 86_400_000}:1`, `${Date.now() + 300}:1`]) {
    const items = localItems()
    items.setItem(`latchkey:${url}:lock`, left)
    const client = createTabs(t).open({ baseUrl: url, storage: webStorage(items) })
    await client.signUp(newForm())
    t.equal(client.isSignedIn, true, left)
    t.strictSame([...items.items.keys()], [`latchkey:${url}`], 'and given back')
    items.setItem(`latchkey:${url}:lock`, `${Date.now() + 30_000}:1`)
    const waiting = client.logIn(newForm(), { signal: AbortSignal.timeout(100) })
    await t.rejects(waiting, { name: 'TimeoutError' }, 'nobody waits for it longer than they want')
  }
})

t.test('a lock that was taken over is not given back', async (t) => {
  without(t, 'navigator')
  const { url } = await listeningService(t)
  const items = localItems()
  const tabs = createTabs(t)
  tabs.network = async (_, next) => {
    items.setItem(`latchkey:${url}:lock`, 'another')
    return next()
  }
  await tabs.open({ baseUrl: url, storage: webStorage(items) }).signUp(newForm())
  t.equal(items.getItem(`latchkey:${url}:lock`), 'another')
})

t.test('in cookie mode without Web Locks the service gives all tabs the same', async (t) => {
  without(t, 'navigator')
  const site = await tenTabs(t, 'cookie')
  const { refreshes } = await threeExpiries({ ...site, clients: site.clients.slice(0, 2) })
  t.ok(refreshes >= 3, String(refreshes))
})

for (const transport of ['body', 'cookie'] as const) {
  t.test(`${transport}: what one tab does the others hear of`, async (t) => {
    const { clients, browser, first, url } = await tenTabs(t, transport)
    const [, second] = clients as [Client, Client]
    const events = eventsOf(second)
    await first.logOut()
    await poll('the sign-out', () => events.length === 1)
    t.equal(second.isSignedIn, false)
    await t.rejects(second.me(), { code: 'token_missing' })

    const { sub } = await first.logIn(await account(browser.open({ baseUrl: url }))).then(() => first.me())
    await poll('the sign-in', () => events.length === 2)
    t.equal((await second.me()).sub, sub)
    t.strictSame(events, ['signed_out: log_out', 'signed_in'], 'with its reason')
  })
}

t.test(
  'a tab that was duplicated, with a storage of its own, gets the tokens that its session is exchanged for',
  async (t) => {
    const { url } = await listeningService(t, { ACCESS_TOKEN_TTL: '4s' })
    const tabs = createTabs(t)
    const items = localItems()
    const first = tabs.open({ baseUrl: url, storage: webStorage(items) })
    await first.signUp(newForm())
    const copies = localItems()
    for (const [key, value] of items.items) copies.setItem(key, value)
    const second = tabs.open({ baseUrl: url, storage: webStorage(copies) })
    const others = localItems()
    const stranger = tabs.open({ baseUrl: url, storage: webStorage(others) })
    await stranger.signUp(newForm())
    const [mine, theirs] = [await second.me(), others.getItem(`latchkey:${url}`)]

    const renewed = await poll('a new token', async () => {
      const { jti } = await first.me()
      return jti !== mine.jti && jti
    })
    const kept = () => copies.getItem(`latchkey:${url}`)
    await poll('the second to have it too', () => kept() === items.getItem(`latchkey:${url}`))
    t.equal((await second.me()).jti, renewed)
    t.equal(tabs.count(REFRESH), 1)
    t.equal(others.getItem(`latchkey:${url}`), theirs, 'whoever has another session keeps it')
  },
)

/** Somebody who has an account. */
async function account(elsewhere: Client) {
  const form = newForm()
  await elsewhere.signUp(form)
  return form
}

t.test('without BroadcastChannel the storage tells', async (t) => {
  without(t, 'BroadcastChannel')
  const target = new EventTarget()
  const listening = new Set<unknown>()
  Object.assign(globalThis, {
    addEventListener(type: string, listener: () => void) {
      listening.add(listener)
      target.addEventListener(type, listener)
    },
    removeEventListener(type: string, listener: () => void) {
      listening.delete(listener)
      target.removeEventListener(type, listener)
    },
  })
  t.teardown(() => {
    Object.assign(globalThis, { addEventListener: undefined, removeEventListener: undefined })
  })
  const changed = (key: string | null) => target.dispatchEvent(Object.assign(new Event('storage'), { key }))
  const { url } = await listeningService(t)
  const items = localItems()
  const options = { baseUrl: url, storage: webStorage(items) }
  const tabs = createTabs(t)
  const [first, second] = [tabs.open(options), tabs.open(options)]
  const events = eventsOf(second)

  await first.signUp(newForm())
  changed('something else')
  t.equal(second.isSignedIn, false)
  changed(`latchkey:${url}`)
  await poll('the sign-in', () => events.length === 1)
  items.items.clear()
  changed(null)
  await poll('the sign-out', () => events.length === 2)
  t.strictSame(events, ['signed_in', 'signed_out: other_tab'])
  first.close()
  second.close()
  t.equal(listening.size, 0)
})

t.test('another tab that has the better token is believed', async (t) => {
  const { first, clients, items, url, browser } = await tenTabs(t, 'body')
  const key = `latchkey:${url}`
  for (const client of clients.slice(1)) client.close()
  // Without a lock another tab exchanges the token, just before this one does, and longer ago than the grace.
  const before = JSON.parse(String(items.getItem(key)))
  browser.network = async (address, next) => {
    if (!address.endsWith('/auth/refresh')) return next()
    browser.network = undefined
    const reply = await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refresh_token: before.refresh_token }),
    })
    const tokens = Object(await reply.json())
    const now = Date.now()
    const kept = { ...before, ...tokens, at: now, expires_at: now + 100_000, life: 100_000, skew: 0 }
    items.setItem(key, JSON.stringify(kept))
    return new Response(JSON.stringify({ code: 'refresh_token_reused' }), {
      status: 401,
      headers: { 'content-type': 'application/problem+json' },
    })
  }
  await poll('the better token to be used', async () => {
    await first.me()
    return (
      browser.count(REFRESH) === 1 &&
      browser.sent.at(-1)?.token === `Bearer ${JSON.parse(String(items.getItem(key))).access_token}`
    )
  })
  t.equal(first.isSignedIn, true)
  t.equal(browser.count(REFRESH), 1)
  t.not(JSON.parse(String(items.getItem(key))).access_token, before.access_token)
})

t.test('an answer that comes late does not take the place of what another tab has made since', async (t) => {
  without(t, 'navigator')
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const items = localItems()
  const key = `latchkey:${url}`
  const open = () => tabs.open({ baseUrl: url, storage: webStorage(items) })
  const kept = () => JSON.parse(String(items.getItem(key)))
  const expire = () => items.setItem(key, JSON.stringify({ ...kept(), expires_at: Date.now() - 10_000 }))
  await open().signUp(newForm())
  expire()
  const refresh = holdRefresh(tabs)
  const late = open().me()
  await refresh.answered
  // Its lock has run out: another one gets the same tokens, in the grace, and exchanges those later.
  items.removeItem(`${key}:lock`)
  await open().me()
  expire()
  await open().me()
  const newest = kept().refresh_token
  refresh.release()
  await late
  t.equal(kept().refresh_token, newest)
})

t.test('in cookie mode a sign-out is not undone by a tab that was being opened', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const first = tabs.open({ baseUrl: url, transport: 'cookie' })
  await first.signUp(newForm())
  // It asks nobody what they know, as if all were too busy to answer in time.
  const { prototype } = BroadcastChannel
  const { postMessage } = prototype
  t.teardown(() => Object.assign(prototype, { postMessage }))
  Object.assign(prototype, {
    postMessage(this: InstanceType<typeof BroadcastChannel>, message: unknown) {
      if (Object(message).at !== undefined) postMessage.call(this, message)
    },
  })
  const refresh = holdRefresh(tabs)
  const second = tabs.open({ baseUrl: url, transport: 'cookie' })
  const restoring = second.restore()
  await refresh.answered
  // It hears after the tab: it was there after it.
  const heard = new BroadcastChannel(`latchkey:${url}`)
  t.teardown(() => heard.close())
  const signedOut = new Promise((resolve) => {
    heard.onmessage = resolve
  })
  await first.logOut()
  await signedOut
  refresh.release()
  t.equal(await restoring, false)
  t.equal(second.isSignedIn, false)
  t.equal(first.isSignedIn, false)
})

/** Holds back the answer of the next refresh. */
function holdRefresh(tabs: ReturnType<typeof createTabs>) {
  const [answer, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  tabs.network = async (address, next) => {
    const response = await next()
    if (address.endsWith('/auth/refresh')) {
      tabs.network = undefined
      answer.resolve()
      await held.promise
    }
    return response
  }
  return { answered: answer.promise, release: held.resolve }
}

t.test('a client that hears no more of other tabs works all the same', async (t) => {
  const { url } = await listeningService(t)
  const client = createTabs(t).open({ baseUrl: url, storage: webStorage(localItems()) })
  client.close()
  await client.signUp(newForm())
  t.equal(client.isSignedIn, true)
  await client.logOut()
  t.equal(client.isSignedIn, false)
})
