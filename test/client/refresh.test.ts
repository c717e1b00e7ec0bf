import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { asyncStorage, type Client, memoryStorage, type SessionStorage } from '../../src/client/client.ts'
import { signUpAdmin } from '../helpers/operators.ts'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { createTabs, eventsOf, listeningService } from '../helpers/tabs.ts'

const REFRESH = 'POST /auth/refresh'

interface SiteOptions {
  readonly storage?: SessionStorage
  readonly env?: Record<string, string>
}

/** Somebody who is signed in, by a client whose access tokens live for 4 s. */
async function signedIn(t: Test, { storage = memoryStorage(), env = {} }: SiteOptions = {}) {
  const service = await listeningService(t, { ACCESS_TOKEN_TTL: '4s', ...env })
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: service.url, storage })
  const events = eventsOf(client)
  const form = { email: `${randomUUID()}@example.com`, password: PASSWORD }
  const { id } = await client.signUp(form)
  return { ...service, storage, tabs, client, events, form, id, key: `latchkey:${service.url}` }
}

type Site = Awaited<ReturnType<typeof signedIn>>

/** Makes what the client has stored look as if it had been so long ago, and starts another from it. */
async function later({ storage, key, tabs, url, client }: Site, ms: number): Promise<Client> {
  const kept = JSON.parse(String(await storage.getItem(key)))
  await storage.setItem(key, JSON.stringify({ ...kept, expires_at: kept.expires_at - ms }))
  client.close()
  return tabs.open({ baseUrl: url, storage })
}

/** Lets only so many refreshes through, and answers the others so. */
function answerRefreshes(site: Site, answer: (next: () => Promise<Response>) => Promise<Response>) {
  site.tabs.network = (url, next) => (url.endsWith('/auth/refresh') ? answer(next) : next())
}

async function tokenOf({ storage, key }: Site): Promise<string> {
  return JSON.parse(String(await storage.getItem(key))).access_token
}

async function offline(): Promise<Response> {
  throw new TypeError('fetch failed')
}

const problem = (status: number, code: string, headers = {}) =>
  new Response(JSON.stringify({ code, status }), {
    status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  })

t.test(
  'a token is exchanged ahead of its expiry, and whoever asks meanwhile goes on with the old one',
  async (t) => {
    const site = await signedIn(t)
    const first = await tokenOf(site)
    const client = await later(site, 2_500)
    const events = eventsOf(client)
    await Promise.all(Array.from({ length: 20 }, () => client.me()))
    const asked = site.tabs.sent.filter(({ route }) => route === 'GET /me')
    t.strictSame(new Set(asked.map(({ token }) => token)), new Set([`Bearer ${first}`]))
    await poll('the exchange', () => events.includes('refreshed'))
    t.equal(site.tabs.count(REFRESH), 1)
    await client.me()
    t.equal(site.tabs.sent.at(-1)?.token, `Bearer ${await tokenOf(site)}`)
    t.not(await tokenOf(site), first)
    t.equal(await client.restore(), true)
    t.equal(site.tabs.count(REFRESH), 1)
  },
)

t.test('what waits for an expired token is queued behind one refresh', async (t) => {
  const site = await signedIn(t)
  const client = await later(site, 10_000)
  const controller = new AbortController()
  const impatient = client.me({ signal: controller.signal })
  const others = Array.from({ length: 20 }, () => client.me())
  controller.abort()
  await t.rejects(impatient, { name: 'AbortError' })
  await Promise.all(others)
  t.equal(site.tabs.count(REFRESH), 1)
  t.equal(site.tabs.count('GET /me'), 20)
})

t.test('a refused token is exchanged, and the request sent once more', async (t) => {
  const site = await signedIn(t, { env: { ACCESS_TOKEN_TTL: '1s' } })
  await poll('the token to expire', async () => {
    const reply = await site.send('GET', '/me', { token: await tokenOf(site) })
    return reply.statusCode === 401
  })
  const behind = await later(site, -60_000)
  await behind.me()
  t.strictSame(
    site.tabs.sent.map(({ route }) => route),
    ['POST /auth/signup', 'GET /me', REFRESH, 'GET /me'],
    'as where this clock is behind',
  )
})

t.test('so is one whose roles have changed', async (t) => {
  const site = await signedIn(t, { env: { ACCESS_TOKEN_TTL: '10m' } })
  const admin = await site.signUp()
  await site.database.db
    .insertInto('account_roles')
    .values({ account_id: admin.accountId, role: 'admin' })
    .execute()
  const { access_token: token } = (
    await site.send('POST', '/auth/login', { body: { email: admin.email, password: PASSWORD } })
  ).json()
  const change = { body: { roles: ['user', 'admin'] }, token }
  t.equal((await site.send('PATCH', `/admin/accounts/${site.id}`, change)).statusCode, 200)
  t.strictSame((await site.client.me()).roles, ['admin', 'user'])
  t.equal(site.tabs.count(REFRESH), 1)
})

t.test('a lost answer is asked for again, in the time that the service gives', async (t) => {
  const site = await signedIn(t)
  const client = await later(site, 10_000)
  let lost = 0
  answerRefreshes(site, async (next) => {
    const response = await next()
    if (lost++ < 3) return offline()
    return response
  })
  await client.me()
  t.equal(site.tabs.count(REFRESH), 4)
  t.equal(client.isSignedIn, true)
})

t.test('an answer that does not come is not waited for', { timeout: 30_000 }, async (t) => {
  const site = await signedIn(t)
  const client = await later(site, 10_000)
  let isFirst = true
  site.tabs.network = async (url, next, { signal }) => {
    if (!url.endsWith('/auth/refresh') || !isFirst) return next()
    isFirst = false
    await next()
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  }
  await client.me()
  t.equal(site.tabs.count(REFRESH), 2)
})

t.test('no failure ends a session: it is tried again, later and later', { timeout: 60_000 }, async (t) => {
  const site = await signedIn(t)
  const client = await later(site, 10_000_000)
  const events = eventsOf(client)
  answerRefreshes(site, async () => problem(429, 'too_many_attempts', { 'retry-after': '3600' }))
  const failed = { code: 'too_many_attempts', retryAfter: 3600 }
  await t.rejects(client.me(), failed)
  await t.rejects(client.me(), failed, 'the answer is remembered')
  t.equal(await client.restore(), true)
  t.equal(site.tabs.count(REFRESH), 1, 'and nobody asks before its time')
  t.strictSame(events, ['signed_in'])

  answerRefreshes(site, async () => problem(400, 'invalid_request'))
  const honest = Date.now
  t.teardown(() => {
    Date.now = honest
  })
  Date.now = () => honest() - 5_000_000
  await t.rejects(client.me(), { code: 'invalid_request' }, 'a clock that was set back does not lengthen it')
  Date.now = honest
  t.equal(site.tabs.count(REFRESH), 2)

  let answers = 0
  answerRefreshes(site, async (next) => {
    answers++
    if (answers === 1) return new Response('<h1>Bad gateway</h1>', { status: 502 })
    if (answers === 2) return problem(503, 'overloaded', { 'retry-after': '1' })
    if (answers === 3) return new Response('Welcome to the hotel')
    return next()
  })
  await poll('the service', () => client.me().catch(() => false as const))
  t.equal(answers, 4)
})

t.test(
  'where there is no network for long, whoever needs a token is told',
  { timeout: 60_000 },
  async (t) => {
    const site = await signedIn(t)
    const client = await later(site, 10_000)
    answerRefreshes(site, offline)
    const began = performance.now()
    await t.rejects(client.me(), { code: 'network_error' })
    const took = performance.now() - began
    t.ok(took < 10_000, `${took} ms`)
    await t.rejects(client.fetch(`${site.url}/me`), { code: 'network_error' })
    t.equal(client.isSignedIn, true)
    t.equal(await client.restore(), true)
    site.tabs.network = undefined
    await poll('the network', () => client.me().catch(() => false as const))
  },
)

t.test('the end of a session is told once its access token is of no use either', async (t) => {
  for (const [how, reason] of [
    ['disabled', 'account_disabled'],
    ['ended', 'session_ended'],
  ] as const) {
    const site = await signedIn(t, { env: { ACCESS_TOKEN_TTL: '20s' } })
    const client = await later(site, 16_000)
    const events = eventsOf(client)
    if (how === 'disabled') {
      await site.database.db
        .updateTable('accounts')
        .set({ status: 'disabled' })
        .where('id', '=', site.id)
        .execute()
    } else {
      await site.database.db.deleteFrom('sessions').where('account_id', '=', site.id).execute()
    }
    // Written straight into the database: this node's guard hasn't heard of it.
    await client.me()
    await poll('the refresh', () => site.tabs.count(REFRESH) === 1)
    await client.me()
    t.strictSame(events, ['signed_in'], `${how}: it goes on as long as it is let in`)
    await poll('the end', async () => {
      await client.me().catch(() => {})
      return events.length > 1
    })
    t.strictSame(events, ['signed_in', `signed_out: ${reason}`])
    t.equal(client.isSignedIn, false)
    t.equal(site.tabs.count(REFRESH), 1, 'once is enough')
    t.notOk(await site.storage.getItem(site.key))
    await client.logIn(site.form).catch(() => {})
  }
})

t.test('whose account an operator disables is told so', async (t) => {
  const service = await listeningService(t)
  const { accessToken: token } = await signUpAdmin(service)
  const client = createTabs(t).open({ baseUrl: service.url })
  const events = eventsOf(client)
  const { id } = await client.signUp({ email: `${randomUUID()}@example.com`, password: PASSWORD })
  await service.send('PATCH', `/admin/accounts/${id}`, { token, body: { status: 'disabled' } })
  await t.rejects(client.me(), { code: 'token_revoked' })
  t.strictSame(events, ['signed_in', 'signed_out: account_disabled'])
})

t.test('a stored session that has ended is none', async (t) => {
  const site = await signedIn(t)
  const { accessToken } = { accessToken: await tokenOf(site) }
  await site.send('POST', '/auth/logout', { token: accessToken })
  const client = await later(site, 10_000)
  t.equal(await client.restore(), false)
  t.equal(client.isSignedIn, false)
})

t.test('a sign-out wins over a refresh that runs beside it', async (t) => {
  const site = await signedIn(t)
  const client = await later(site, 2_500)
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  answerRefreshes(site, async (next) => {
    const response = await next()
    await held
    return response
  })
  await client.me()
  await poll('the refresh', () => site.tabs.count(REFRESH) === 1)
  await client.logOut()
  release()
  await t.rejects(client.me(), { code: 'token_missing' })
  t.equal(client.isSignedIn, false)
  t.notOk(await site.storage.getItem(site.key))
})

t.test('a sign-out that the service does not hear of is one here all the same', async (t) => {
  const site = await signedIn(t)
  site.tabs.network = offline
  await t.rejects(site.client.logOut({ scope: 'all' }), { code: 'network_error' })
  t.equal(site.client.isSignedIn, true, 'but not where others were meant too')
  const reason = new Error('the page was left')
  await t.rejects(site.client.logOut({}, { signal: AbortSignal.abort(reason) }), reason)
  t.equal(site.client.isSignedIn, true)
  await t.rejects(site.client.logOut(), { code: 'network_error' })
  t.equal(site.client.isSignedIn, false)
  t.notOk(await site.storage.getItem(site.key))
})

t.test('a storage that fails is not taken for a network that does', async (t) => {
  const broken = new Error('the disk is full')
  let isFull = true
  const items = new Map<string, string>()
  const storage = asyncStorage({
    getItem: async (key) => items.get(key),
    async setItem(key, value) {
      if (isFull) throw broken
      items.set(key, value)
    },
    removeItem: async (key) => items.delete(key),
  })
  const { url } = await listeningService(t)
  const full = createTabs(t).open({ baseUrl: url, storage })
  await t.rejects(full.signUp({ email: `${randomUUID()}@example.com`, password: PASSWORD }), broken)
  t.equal(full.isSignedIn, false)
  isFull = false
  const site = await signedIn(t, { storage })
  const client = await later(site, 10_000)
  isFull = true
  await client.me()
  t.equal(site.tabs.count(REFRESH), 1)
  await client.me()
  t.equal(await client.restore(), true)
  t.equal(site.tabs.count(REFRESH), 1, 'it goes on with what it could not store')
  isFull = false
  await client.logOut()
  t.equal(items.size, 0)
})

t.test('what stands in the storage and is no session is nothing', async (t) => {
  const { url } = await listeningService(t)
  const storage = memoryStorage()
  for (const text of ['', '{', 'null', '{}', '{"access_token":"x"}', '[1]']) {
    await storage.setItem(`latchkey:${url}`, text)
    t.equal(await createTabs(t).open({ baseUrl: url, storage }).restore(), false, text)
  }
})

t.test('tokens that came while the storage could not be read are kept all the same', async (t) => {
  const items = new Map<string, string>()
  let isLocked = false
  const storage = asyncStorage({
    async getItem(key) {
      if (isLocked) throw new Error('the telephone is locked')
      return items.get(key)
    },
    setItem: async (key, value) => items.set(key, value),
    removeItem: async (key) => items.delete(key),
  })
  const site = await signedIn(t, { storage })
  const first = JSON.parse(String(items.get(site.key))).refresh_token
  const client = await later(site, 10_000)
  answerRefreshes(site, (next) => {
    isLocked = true
    return next()
  })
  await client.me()
  isLocked = false
  t.equal(site.tabs.count(REFRESH), 1)
  t.not(JSON.parse(String(items.get(site.key))).refresh_token, first)
})

t.test('an answer that was lost is asked for once more, just before that is too late', async (t) => {
  const site = await signedIn(t)
  const client = await later(site, 10_000)
  const events = eventsOf(client)
  let lostAt = 0
  answerRefreshes(site, async (next) => {
    if (lostAt === 0) {
      await next()
      lostAt = performance.now()
      return offline()
    }
    const isBack = performance.now() - lostAt > 8_000
    return isBack ? next() : problem(503, 'database_unavailable', { 'retry-after': '2' })
  })
  await client.me()
  t.strictSame(events, ['signed_in', 'refreshed'])
})
