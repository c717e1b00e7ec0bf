import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { revoke } from '../../src/revocations/store.ts'
import { REVOCATION_LIFE } from '../../src/tokens/revocations.ts'
import { openEventStream } from '../helpers/event-stream.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { poll } from '../helpers/poll.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, type TestService } from '../helpers/service.ts'

interface Page {
  readonly revocations: readonly { sid?: string; sub?: string; roles?: string[]; expires_at: string }[]
  readonly cursor: string
  readonly more: boolean
  readonly age: number
}

/** A token that another holder of the secret made for itself. */
function readerToken({ clock }: Pick<TestService, 'clock'>, differing: object = {}): string {
  return handMade(goodHeader, { ...goodClaims(clock()), scope: 'revocations:read', ...differing })
}

async function page(service: TestService, after?: string): Promise<Page> {
  const path = after === undefined ? '/revocations' : `/revocations?after=${encodeURIComponent(after)}`
  const reply = await service.send('GET', path, { token: readerToken(service) })
  if (reply.statusCode !== 200) throw new Error(`the feed answered ${reply.statusCode}: ${reply.body}`)
  return reply.json()
}

/** Asks until there is nothing more. */
async function sessionsAfter(service: TestService, after?: string) {
  const sids: (string | undefined)[] = []
  let cursor = after
  for (let more = true; more; ) {
    const next = await page(service, cursor)
    sids.push(...next.revocations.map(({ sid }) => sid))
    cursor = next.cursor
    more = next.more
  }
  return sids
}

async function commit({ database, clock }: TestService, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID())
  const causes = ids.map((sessionId) => ({ sessionId }))
  await database.db.transaction().execute((tx) => revoke(tx, causes, clock()))
  return ids
}

/** Waits until the service knows what was committed past it. */
async function known({ app }: TestService, size: number): Promise<void> {
  const live = async () => (await app.inject('/readyz')).json().revocations.live
  await poll(`${size} revocations to be known`, async () => (await live()) === size)
}

async function listening(service: TestService): Promise<string> {
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(service.app.server.address() as AddressInfo).port}/revocations`
}

async function stream(t: Test, service: TestService, url: string, headers: Record<string, string> = {}) {
  return openEventStream(t, url, { authorization: `Bearer ${readerToken(service)}`, ...headers })
}

for (const database of databases) {
  t.test(`the feed tells what is live, and with a cursor what came since, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const empty = await page(service)
    t.match(empty, { revocations: [], more: false })
    t.ok(empty.age < 5)

    const { accessToken, sessionId } = await service.signUp()
    await service.send('POST', '/auth/logout', { token: accessToken })
    const sub = randomUUID()
    const roles = ['analyst', 'user']
    const causes = [
      { accountId: sub, roles },
      { accountId: sub, roles: [] },
    ]
    await service.database.db.transaction().execute((tx) => revoke(tx, causes, service.clock()))
    await known(service, 2)

    const first = await page(service)
    const expires_at = new Date(service.clock() + REVOCATION_LIFE).toISOString()
    t.strictSame(first.revocations, [
      { sid: sessionId, expires_at },
      { sub, roles, expires_at },
      { sub, roles: [], expires_at },
    ])
    t.strictSame((await page(service, empty.cursor)).revocations, first.revocations)
    const later = await page(service, first.cursor)
    t.strictSame(later.revocations, [])
    t.equal(later.cursor, first.cursor)
  })

  t.test(`many are told in pages, each once and in order, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { cursor } = await page(service)
    const ids = [...(await commit(service, 1_500)), ...(await commit(service, 701))]
    await known(service, ids.length)
    t.strictSame(await sessionsAfter(service), ids)
    t.strictSame(await sessionsAfter(service, cursor), ids)
    t.equal((await page(service)).revocations.length, 1_000)
  })

  t.test(`a cursor from which nothing can be told says how to start again, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const token = readerToken(service)
    const ask = (after: string) =>
      service.send('GET', `/revocations?after=${encodeURIComponent(after)}`, { token })

    const { cursor: beginning } = await page(service)
    await commit(service, 3)
    await known(service, 3)
    const { cursor } = await page(service)
    const [feed, digits] = cursor.split('.') as [string, string]
    const seq = Number(digits)
    t.equal((await ask(cursor)).statusCode, 200)
    t.equal((await ask(beginning)).statusCode, 200)

    const made = ['0', 'x', `${feed}.`, `${feed}.-1`, `${feed}.1e3`, `${feed}.${'9'.repeat(16)}`, `.${seq}`]
    for (const after of [...made, 'x'.repeat(65)])
      isProblem(t, await ask(after), 'invalid_request', ['after'])
    isProblem(t, await ask(`${feed}.${seq + 1}`), 'cursor_gone')
    isProblem(t, await ask(`${randomUUID()}.${seq}`), 'cursor_gone')

    // What came after it has been swept, so nobody can say what it was.
    await service.database.db.deleteFrom('revocations').where('seq', '<', seq).execute()
    isProblem(t, await ask(beginning), 'cursor_gone')
    t.equal((await ask(`${feed}.${seq - 1}`)).statusCode, 200)
    await service.database.db.deleteFrom('revocations').execute()
    isProblem(t, await ask(`${feed}.${seq - 1}`), 'cursor_gone')
    t.equal((await ask(cursor)).statusCode, 200, 'nothing came after it')
  })

  t.test(`a stream tells what is live and goes on, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const before = await commit(service, 2)
    await known(service, 2)
    const url = await listening(service)
    const { response, event } = await stream(t, service, url)
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), 'text/event-stream')
    t.equal(response.headers.get('cache-control'), 'no-store')
    t.equal(response.headers.get('x-accel-buffering'), 'no')

    const snapshot = await event('revocations')
    t.match(snapshot.data, { revocations: before.map((sid) => ({ sid })) })
    t.ok(((await event('alive')).data.age as number) < 5, 'then it says that this is all')

    const { accessToken, sessionId } = await service.signUp()
    await service.send('POST', '/auth/logout', { token: accessToken })
    const live = await event('revocations', 2)
    t.match(live.data, { revocations: [{ sid: sessionId }] })
    t.equal(live.id, (await page(service)).cursor, 'its id is the cursor')
  })
}

t.test('a stream is resumed where it was left, by Last-Event-ID or by after', async (t) => {
  const service = await createService(t)
  const url = await listening(service)
  await commit(service, 1)
  await known(service, 1)
  const first = await stream(t, service, url)
  const id = (await first.event('revocations')).id as string
  first.close()

  const missed = (await commit(service, 5)).map((sid) => ({ sid }))
  await known(service, 6)
  for (const resumed of [
    await stream(t, service, url, { 'last-event-id': id }),
    await stream(t, service, `${url}?after=${id}`),
    await stream(t, service, `${url}?after=nonsense`, { 'last-event-id': id }),
  ]) {
    t.match((await resumed.event('revocations')).data, { revocations: missed })
  }
  const ask = (cursor: string) => stream(t, service, url, { 'last-event-id': cursor })
  t.equal((await ask('nonsense')).response.status, 400)
  t.equal((await ask(`${randomUUID()}.1`)).response.status, 410)
})

t.test('a stream that tells thousands tells each once', async (t) => {
  const service = await createService(t)
  const url = await listening(service)
  const ids = await commit(service, 4_000)
  await known(service, 4_000)
  const { events, event } = await stream(t, service, url)
  await event('alive')
  const more = await commit(service, 3_000)
  const told = () =>
    events
      .filter(({ event }) => event === 'revocations')
      .flatMap(({ data }) => (JSON.parse(data) as Page).revocations.map(({ sid }) => sid))
  await poll('all of them', () => told().length >= 7_000)
  t.strictSame(told(), [...ids, ...more])
})

t.test('silence is broken every two seconds', async (t) => {
  const service = await createService(t)
  const { event } = await stream(t, service, await listening(service))
  await event('alive')
  const started = performance.now()
  await event('alive', 2)
  const silence = performance.now() - started
  t.ok(silence > 1_000 && silence < 5_000, `${silence} ms`)
})

t.test('the feed is for those who have its scope', async (t) => {
  const service = await createService(t)
  const { accessToken } = await service.signUp()
  for (const accept of ['application/json', 'text/event-stream']) {
    const headers = { accept }
    isProblem(t, await service.send('GET', '/revocations', { headers }), 'token_missing')
    isProblem(t, await service.send('GET', '/revocations', { token: 'x', headers }), 'token_invalid')
    const refused = await service.send('GET', '/revocations', { token: accessToken, headers })
    isProblem(t, refused, 'insufficient_scope')
    t.match(refused.headers['www-authenticate'], /error="insufficient_scope".*scope="revocations:read"/)
  }
  const unknown = await service.send('GET', '/revocations?from=1', { token: readerToken(service) })
  isProblem(t, unknown, 'invalid_request', [''])
  const head = await service.app.inject({ method: 'HEAD', url: '/revocations' })
  t.equal(head.statusCode, 405, 'a HEAD would have to read to the end of a stream')
})

t.test('a stream ends with the token that opened it', async (t) => {
  const service = await createService(t)
  const url = await listening(service)
  const sid = randomUUID()
  const open = (differing: object) =>
    openEventStream(t, url, { authorization: `Bearer ${readerToken(service, differing)}` })
  const revoked = await open({ sid })
  const expired = await open({ exp: goodClaims(service.clock()).iat + 60 })
  const other = await open({})
  for (const each of [revoked, expired, other]) await each.event('alive')

  await service.database.db.transaction().execute((tx) => revoke(tx, [{ sessionId: sid }], service.clock()))
  await poll('the end of the revoked one', revoked.ended)
  await other.event('revocations')
  t.notOk(expired.ended())
  service.clock.advance(66_000)
  await poll('the end of the expired one', expired.ended)
  t.notOk(other.ended())
})

t.test('a service on its way out ends its streams', async (t) => {
  const service = await createService(t)
  const open = await stream(t, service, await listening(service))
  await open.event('alive')
  const started = performance.now()
  await service.app.close()
  await poll('its end', open.ended)
  t.ok(performance.now() - started < 5_000)
})
