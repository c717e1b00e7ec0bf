import { randomUUID } from 'node:crypto'
import t from 'tap'
import { webStorage } from '../../src/client/client.ts'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { createTabs, eventsOf, listeningService, localItems } from '../helpers/tabs.ts'

const COOKIE = '__Host-latchkey'
const newForm = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD })

t.test('the refresh token is in the cookie alone', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const items = localItems()
  const client = tabs.open({ baseUrl: url, transport: 'cookie', storage: webStorage(items) })
  const form = newForm()
  await client.signUp(form)
  t.match(tabs.jar.get(COOKIE), /^lkr_/)
  t.equal(items.items.size, 0, 'nothing is stored')
  for (const { init } of tabs.sent) {
    t.match(init, { credentials: 'include', redirect: 'error', keepalive: true })
    t.match(init.headers, { 'latchkey-transport': 'cookie' })
  }

  await client.logOut()
  t.equal(tabs.jar.size, 0)
  t.equal(client.isSignedIn, false)
  await client.logIn(form)
  t.equal(tabs.jar.size, 1)
  t.equal((await client.me()).aud, 'latchkey')
})

t.test('a reload finds the session by a refresh, and a stranger none', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const options = { baseUrl: url, transport: 'cookie' } as const
  const stranger = tabs.open(options)
  t.equal(await stranger.restore(), false)
  t.equal(await stranger.restore(), false)
  t.equal(tabs.count('POST /auth/refresh'), 1, 'nor is it asked again at once')
  await stranger.logIn(newForm()).catch(() => {})
  await stranger.signUp(newForm())
  const { sub } = await stranger.me()
  stranger.close()

  const reloaded = tabs.open(options)
  const events = eventsOf(reloaded)
  t.equal(await reloaded.restore(), true)
  t.equal((await reloaded.me()).sub, sub)
  t.strictSame(events, ['signed_in'])
  t.equal(tabs.count('POST /auth/refresh'), 2)
  t.equal(await reloaded.restore(), true)

  const next = tabs.open(options)
  t.equal(await next.restore(), true)
  t.equal(tabs.count('POST /auth/refresh'), 2, 'another tab gets the token of the first')
})

t.test('where it cannot be known whether there is a session, nobody says that there is none', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: url, transport: 'cookie' })
  tabs.network = async () => new Response(null, { status: 403 })
  await t.rejects(client.restore(), { code: 'invalid_response' })
  t.equal(client.isSignedIn, false)
})

t.test('a sign-out that the service does not hear of is none: the cookie would be there still', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: url, transport: 'cookie' })
  await client.signUp(newForm())
  tabs.network = async () => {
    throw new TypeError('fetch failed')
  }
  await t.rejects(client.logOut(), { code: 'network_error' })
  t.equal(client.isSignedIn, true)
  tabs.network = undefined
  client.close()

  const reloaded = tabs.open({ baseUrl: url, transport: 'cookie' })
  await reloaded.logOut()
  t.equal(tabs.jar.size, 0, 'a page that was just loaded can sign out too')
})

t.test('a sign-out wins over what another tab says late', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: url, transport: 'cookie' })
  await client.signUp(newForm())
  const channel = new BroadcastChannel(`latchkey:${url}`)
  t.teardown(() => channel.close())
  const heard: { at: number; kept: object | undefined }[] = []
  channel.onmessage = ({ data }: { data: unknown }) => heard.push(data as (typeof heard)[0])
  channel.postMessage({})
  await poll('what the tab has', () => heard.length === 1)
  await client.logOut()
  await poll('the sign-out', () => heard.length === 2)
  channel.postMessage(heard[0])
  channel.postMessage({})
  const other = tabs.open({ baseUrl: url, transport: 'cookie' })
  t.equal(await other.restore(), false)
  t.equal(client.isSignedIn, false)
})

t.test('without CORS leave a page of another site gets nothing', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t, { origin: 'https://evil.example' })
  const client = tabs.open({ baseUrl: url, transport: 'cookie' })
  await t.rejects(client.signUp(newForm()), { code: 'origin_not_allowed', status: 403 })
  await t.rejects(client.restore(), { code: 'origin_not_allowed' })
  t.equal(tabs.jar.size, 0)
})

t.test('a tab that only listens is signed in with the others', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const [first, second] = [0, 1].map(() => tabs.open({ baseUrl: url, transport: 'cookie' }))
  await first?.signUp(newForm())
  await poll('the sign-in', () => second?.isSignedIn)
  t.ok(await second?.me())
  t.equal(tabs.count('POST /auth/refresh'), 0)
})
