import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import Fastify from 'fastify'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { handleError } from '../../src/http/errors.ts'
import { type Scope, useZod } from '../../src/http/validation.ts'
import { createFeed } from '../../src/revocations/feed.ts'
import { createFollower } from '../../src/revocations/follower.ts'
import { revocationRoutes, type StreamLimits } from '../../src/revocations/routes.ts'
import { createRevocationStore, revoke } from '../../src/revocations/store.ts'
import { createGuard } from '../../src/tokens/guard.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { openEventStream } from '../helpers/event-stream.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { poll } from '../helpers/poll.ts'
import { createDatabase } from '../helpers/service.ts'

const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }

/** A node that does nothing but tell of so many revocations, within those limits. */
async function feedNode(t: Test, limits: StreamLimits, live: number) {
  const database = await createDatabase(t, 'sqlite')
  const causes = Array.from({ length: live }, () => ({ sessionId: randomUUID() }))
  await database.db.transaction().execute((tx) => revoke(tx, causes, Date.now()))

  const revocations = createRevocations(Date.now)
  const store = createRevocationStore(database.db)
  const { onRevocations } = database
  const log = pino({ level: 'silent' })
  const follower = createFollower({ store, revocations, onRevocations, interval: 20, log })
  await follower.start()

  const keyring = await createKeyring([SECRET_BYTES], parties)
  const verify = createVerifier({ keyring, revocations, clock: Date.now, ...parties })
  const app = Fastify()
  app.decorateRequest('user')
  app.setErrorHandler(handleError)
  useZod(app)
  const feed = createFeed({ store, follower, revocations })
  const parts = { feed, guard: createGuard(verify), verify, limits }
  await revocationRoutes(app as unknown as Scope, parts)
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => {
    await follower.stop()
    app.server.closeAllConnections()
    await app.close()
  })
  const { port } = app.server.address() as AddressInfo
  const tokenOf = (sub: string) =>
    handMade(goodHeader, { ...goodClaims(Date.now()), sub, scope: 'revocations:read' })
  return { port, token: tokenOf('billing'), tokenOf, url: `http://127.0.0.1:${port}/revocations` }
}

t.test('there are so many streams and no more, and one that ends makes room', async (t) => {
  const { url, token } = await feedNode(t, { streams: 2, streamsOfOne: 2, patience: 10_000 }, 1)
  const open = () => openEventStream(t, url, { authorization: `Bearer ${token}` })
  const first = await open()
  const second = await open()
  await second.event('alive')
  const third = await open()
  t.equal(third.response.status, 503)
  t.equal(third.response.headers.get('retry-after'), '1')

  first.close()
  const again = await poll('room for another', async () => {
    const stream = await open()
    return stream.response.status === 200 && stream
  })
  await again.event('revocations')

  // What is refused takes no room.
  again.close()
  for (let n = 0; n < 5; n++) {
    const headers = { authorization: `Bearer ${token}`, 'last-event-id': 'nonsense' }
    await poll('a refusal', async () => (await openEventStream(t, url, headers)).response.status === 400)
  }
  await poll('room after refusals', async () => (await open()).response.status === 200)
})

t.test('one account has its share of them, and others have theirs', async (t) => {
  const { url, tokenOf } = await feedNode(t, { streams: 4, streamsOfOne: 2, patience: 10_000 }, 1)
  const open = (account: string) => openEventStream(t, url, { authorization: `Bearer ${tokenOf(account)}` })
  const [first] = [await open('billing'), await open('billing')]
  const third = await open('billing')
  t.match([third.response.status, third.response.headers.get('retry-after')], [503, '1'])

  for (const _ of [1, 2]) t.equal((await open('shipping')).response.status, 200)
  t.equal((await open('printing')).response.status, 503, 'and no more than there are for all')

  first.close()
  await poll('room for another', async () => (await open('billing')).response.status === 200)
  t.equal((await open('billing')).response.status, 503)
})

t.test('a subscriber that takes too long is cut, and can resume; others go on', async (t) => {
  const { port, url, token } = await feedNode(t, { streams: 10, streamsOfOne: 10, patience: 300 }, 200_000)
  const slow = connect(port, '127.0.0.1')
  slow.on('error', () => {})
  await once(slow, 'connect')
  slow.pause()
  slow.write(
    `GET /revocations HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer ${token}\r\n\r\n`,
  )

  const quick = await openEventStream(t, url, { authorization: `Bearer ${token}` })
  await quick.event('alive')
  const told = quick.events
    .filter(({ event }) => event === 'revocations')
    .reduce((sum, { data }) => sum + JSON.parse(data).revocations.length, 0)
  t.equal(told, 200_000)

  // It reads now, and finds a part of it and then the end.
  let received = ''
  const closed = once(slow, 'close')
  await poll(
    'the server to have given up',
    () => quick.events.filter(({ event }) => event === 'alive').length > 1,
  )
  slow.on('data', (chunk) => {
    received += chunk
  })
  slow.resume()
  await closed
  const ids = [...received.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id as string)
  t.ok(ids.length > 0 && ids.length < 200, `it got ${ids.length} of 200 pages`)

  const headers = { authorization: `Bearer ${token}`, 'last-event-id': ids.at(-2) as string }
  const resumed = await openEventStream(t, url, headers)
  await resumed.event('alive')
  const rest = resumed.events.filter(({ event }) => event === 'revocations')
  t.equal(rest.length, 200 - (ids.length - 1), 'from where it was')
})
