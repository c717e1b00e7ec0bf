import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createClient, LatchkeyError } from '../../src/client/client.ts'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { createTabs, eventsOf, listeningService } from '../helpers/tabs.ts'

const OTHER_PASSWORD = 'a quiet morning in the mountains'
const newEmail = () => `${randomUUID()}@example.com`

t.test('from sign-up to the end of the account', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: `${url}/` })
  const events = eventsOf(client)
  const email = newEmail()

  t.equal(client.isSignedIn, false)
  t.equal(await client.restore(), false)
  const account = await client.signUp({ email, password: PASSWORD, name: 'Ada Lovelace' })
  t.match(account, { email, name: 'Ada Lovelace', roles: ['user'] })
  t.equal(client.isSignedIn, true)
  t.equal((await client.me()).sub, account.id)
  t.strictSame(await client.account.read(), account)
  t.equal((await client.account.update({ name: 'Ada' })).name, 'Ada')
  await client.account.changePassword({ current_password: PASSWORD, new_password: OTHER_PASSWORD })

  await client.logOut()
  t.equal(client.isSignedIn, false)
  await t.rejects(client.me(), { code: 'token_missing', status: 401 })
  await client.logOut()

  await client.logIn({ email, password: OTHER_PASSWORD })
  const other = createClient({ baseUrl: url })
  await other.logIn({ email, password: OTHER_PASSWORD })
  const sessions = await client.sessions.list()
  t.equal(sessions.length, 2)
  await client.sessions.end(sessions.find(({ current }) => !current)?.id ?? '')
  await t.rejects(other.me(), { code: 'token_revoked' })
  t.equal(other.isSignedIn, false, 'it is told of the end')

  await other.logIn({ email, password: OTHER_PASSWORD })
  await client.logOut({ scope: 'others' })
  t.equal(client.isSignedIn, true)
  await other.logOut()
  t.equal(other.isSignedIn, false, 'what has ended already need not be ended')

  await client.account.remove({ current_password: OTHER_PASSWORD })
  await poll('the events', () => events.length === 4)
  t.strictSame(events, ['signed_in', 'signed_out: log_out', 'signed_in', 'signed_out: account_removed'])
})

t.test('every endpoint can be called, and what is wrong is one class of error', async (t) => {
  const { url, database } = await listeningService(t)
  const client = createTabs(t).open({ baseUrl: url })
  t.strictSame(await client.request('GET /livez'), { status: 'alive' })
  t.match(await client.request('GET /metrics'), /^# HELP/)
  const email = newEmail()
  const { id } = await client.signUp({ email, password: PASSWORD })
  await t.rejects(client.request('GET /admin/accounts'), { code: 'insufficient_role', status: 403 })

  await database.db.insertInto('account_roles').values({ account_id: id, role: 'admin' }).execute()
  await client.logIn({ email, password: PASSWORD })
  const { accounts } = await client.request('GET /admin/accounts', { query: { q: email, limit: 5 } })
  t.equal(accounts[0]?.id, id)
  t.equal((await client.request('GET /admin/accounts/{id}', { path: { id } })).email, email)
  const change = { path: { id }, body: { name: 'Grace' } }
  t.equal((await client.request('PATCH /admin/accounts/{id}', change)).name, 'Grace')
  t.equal(await client.request('DELETE /admin/accounts/{id}/attempts', { path: { id } }), undefined)
  const unasked = { query: { q: email, role: undefined } }
  t.equal((await client.request('GET /admin/accounts', unasked as object)).accounts.length, 1)

  for (const part of ['', '.', '..']) {
    const call = client.request('GET /admin/accounts/{id}', { path: { id: part } })
    await t.rejects(call, TypeError, `${part} would make another path of it`)
  }
  await t.rejects(client.request('GET /admin/accounts/{id}', { path: {} as { id: string } }), TypeError)

  const failed = await client.signUp({ email: 'nobody', password: PASSWORD }).catch((error) => error)
  t.type(failed, LatchkeyError)
  t.match(failed, { name: 'LatchkeyError', code: 'invalid_request', status: 400, request_id: /\w/ })
  t.equal(failed.errors[0].path, 'email')
  t.equal(failed.retryAfter, undefined)
  t.equal(client.isSignedIn, true, 'who fails to sign up elsewhere stays signed in')
  await t.rejects(client.logIn({ email, password: OTHER_PASSWORD }), {
    code: 'invalid_credentials',
    errors: [],
  })
})

t.test('a base that is no absolute URL is refused', async (t) => {
  for (const baseUrl of [
    '',
    '/auth',
    'example.com',
    'ftp://example.com',
    'https://user@example.com',
    'http:// x',
  ])
    t.throws(() => createClient({ baseUrl }), TypeError, baseUrl)
  t.throws(() => createClient({ baseUrl: 'https://example.com', audiences: ['api'] }), TypeError)
})

t.test('whoever waits can go, and nothing else goes with it', async (t) => {
  const { url } = await listeningService(t)
  const client = createTabs(t).open({ baseUrl: url })
  await client.signUp({ email: newEmail(), password: PASSWORD })
  const reason = new Error('the page was left')
  await t.rejects(client.me({ signal: AbortSignal.abort(reason) }), reason)
  await t.rejects(
    client.logIn({ email: newEmail(), password: PASSWORD }, { signal: AbortSignal.abort(reason) }),
    reason,
  )
  const controller = new AbortController()
  const reading = client.account.read({ signal: controller.signal })
  controller.abort()
  await t.rejects(reading, { name: 'AbortError' })
  // React Native's signals give no reason.
  const mute = { aborted: true, addEventListener() {}, removeEventListener() {} } as unknown as AbortSignal
  await t.rejects(client.restore({ signal: mute }), { code: 'aborted' })
  t.ok(await client.me({ signal: new AbortController().signal }))
})

t.test('what is not of the service is not taken for its word', async (t) => {
  const { url } = await listeningService(t)
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: url })
  const portal = (status: number, type: string, body: string) => {
    tabs.network = async () => new Response(body, { status, headers: { 'content-type': type } })
  }
  const form = { email: newEmail(), password: PASSWORD }
  portal(200, 'text/html', '<h1>Welcome to the hotel</h1>')
  await t.rejects(client.logIn(form), { code: 'invalid_response' })
  portal(200, 'application/json', '{')
  await t.rejects(client.logIn(form), { code: 'invalid_response', status: 200 })
  portal(200, 'application/json', '{"access_token":1}')
  await t.rejects(client.logIn(form), { code: 'invalid_response' })
  portal(403, 'text/html', '<h1>Pay first</h1>')
  await t.rejects(client.logIn(form), { code: 'invalid_response', status: 403 })
  portal(500, 'application/json', 'null')
  await t.rejects(client.logIn(form), { code: 'invalid_response', status: 500 })
  t.equal(client.isSignedIn, false)
  tabs.network = async () => {
    throw new TypeError('fetch failed')
  }
  await t.rejects(client.logIn(form), {
    code: 'network_error',
    status: 0,
    cause: { message: 'fetch failed' },
  })

  const later = (value: string) => {
    tabs.network = async () => new Response(null, { status: 503, headers: { 'retry-after': value } })
    return client.logIn(form).catch(({ retryAfter }) => retryAfter)
  }
  t.equal(await later('7'), 7)
  const seconds = await later(new Date(Date.now() + 60_000).toUTCString())
  t.ok(seconds > 55 && seconds <= 60, String(seconds))
  t.equal(await later(new Date(0).toUTCString()), undefined)
  t.equal(await later('soon'), undefined)
})
