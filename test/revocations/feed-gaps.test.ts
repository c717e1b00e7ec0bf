import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Database } from '../../src/database/open.ts'
import type { Db } from '../../src/database/schema.ts'
import { createFeed, type FeedEvent } from '../../src/revocations/feed.ts'
import { createFollower } from '../../src/revocations/follower.ts'
import { createRevocationStore, type RevocationStore, revoke } from '../../src/revocations/store.ts'
import { type Cause, createRevocations } from '../../src/tokens/revocations.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { databases } from '../helpers/service.ts'

/** A node that tells what it follows. @param readBy what the feed reads the database by */
async function feedOn(t: Test, { db, onRevocations }: Database, readBy: Partial<RevocationStore> = {}) {
  const store = createRevocationStore(db)
  const revocations = createRevocations(Date.now)
  const log = pino({ level: 'silent' })
  const follower = createFollower({ store, revocations, onRevocations, interval: 10, log })
  await follower.start()
  t.teardown(() => follower.stop())
  return {
    follower,
    revocations,
    feed: createFeed({ store: { ...store, ...readBy }, follower, revocations }),
  }
}

async function commit(db: Db, causes: readonly Cause[]): Promise<void> {
  await db.transaction().execute((tx) => revoke(tx, causes, Date.now()))
}

const someSessions = (count: number) => Array.from({ length: count }, () => ({ sessionId: randomUUID() }))

/** Puts the database back to where it had given one number, as a backup or a replica that lagged behind does. */
async function putBack(db: Db, causes: readonly Cause[]): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx.deleteFrom('revocations').where('seq', '>', 1).execute()
    await tx.updateTable('revocation_head').set({ seq: 1 }).execute()
    await revoke(tx, causes, Date.now())
  })
}

/** Reads a stream to its end. */
function readAll(stream: AsyncGenerator<FeedEvent>) {
  const sids: string[] = []
  let hasEnded = false
  const read = async () => {
    for await (const event of stream) {
      const told = 'page' in event ? event.page.revocations : []
      sids.push(...told.map((each) => ('sessionId' in each ? each.sessionId : each.accountId)))
    }
    hasEnded = true
  }
  void read()
  return { sids, hasEnded: () => hasEnded }
}

for (const kind of databases) {
  t.test(`what is committed while a page is read comes with the next, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    await commit(database.db, someSessions(3))
    await database.db.deleteFrom('revocations').execute()
    const store = createRevocationStore(database.db)
    const between = randomUUID()
    let isFirst = true
    const after: RevocationStore['after'] = async (seq, limit) => {
      const read = await store.after(seq, limit)
      if (!isFirst) return read
      isFirst = false
      await commit(database.db, [{ sessionId: between }])
      await poll('it to be known', () => follower.head.seq === 4)
      return read
    }
    const { feed, follower } = await feedOn(t, database, { after })
    const { revocations, cursor } = await feed.page(undefined)
    t.strictSame(revocations, [])
    t.match((await feed.page(cursor)).revocations, [{ sessionId: between }])
  })

  t.test(`many who begin at once need one read, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    const causes = someSessions(1_200)
    await commit(database.db, causes)
    const store = createRevocationStore(database.db)
    let reads = 0
    const after: RevocationStore['after'] = (seq, limit) => {
      reads++
      return store.after(seq, limit)
    }
    const head = await store.head()
    const { feed } = await feedOn(t, database, { after, head: async () => head })
    const streams = await Promise.all(Array.from({ length: 50 }, () => feed.stream(undefined)))
    const pages = await Promise.all(streams.map((stream) => stream.next()))
    t.equal(reads, 1)
    for (const page of pages) t.match(page, { value: { page: { more: true, cursor: `${head.feed}.1000` } } })
    for (const stream of streams) {
      t.match((await stream.next()).value, { page: { revocations: causes.slice(1_000), more: false } })
      await stream.return(undefined)
    }
  })

  t.test(`a stream says how old what it told is, however late it is read, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    await commit(database.db, someSessions(1))
    const { feed, follower } = await feedOn(t, database)
    const stream = await feed.stream(undefined)
    t.match(await stream.next(), { value: { page: { more: false } } })
    await commit(database.db, someSessions(1))
    await poll('the next to be known', () => follower.head.seq === 2)
    const end = performance.now() + 200
    await poll('some time', () => performance.now() > end)
    const { value } = await stream.next()
    t.ok((value as { age: number }).age >= 0.2, 'the second has not been told')
    t.match(await stream.next(), { value: { page: { revocations: [{ seq: 2 }] } } })
    await stream.return(undefined)
  })

  t.test(
    `after a database was put back a stream ends, and its cursor is good for nothing, on ${kind}`,
    async (t) => {
      const url = await emptyDatabase(t, kind)
      const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
      await commit(there.db, someSessions(3))
      const [one, another] = [await feedOn(t, here), await feedOn(t, there)]
      const { cursor } = await one.feed.page(undefined)
      const { sids, hasEnded } = readAll(await one.feed.stream(undefined))
      await poll('the three', () => sids.length === 3)

      // As many numbers as before and more: they alone don't tell that they are others.
      const causes = someSessions(4)
      await putBack(there.db, causes)
      await poll('the end of the stream', hasEnded)
      for (const { feed } of [one, another]) await t.rejects(feed.page(cursor), { code: 'cursor_gone' })
      await poll('both to know', () => [one, another].every(({ follower }) => follower.head.seq === 5))
      t.equal(one.follower.head.feed, another.follower.head.feed)
      const again = readAll(await one.feed.stream(undefined))
      await poll('all that is there', () => again.sids.length === 5)
      t.strictSame(
        again.sids.slice(1),
        causes.map(({ sessionId }) => sessionId),
      )
    },
  )

  t.test(`after a database was put back its changes of roles are in force, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    const accountId = randomUUID()
    await commit(database.db, [
      ...someSessions(1),
      ...someSessions(4),
      { accountId, roles: ['admin', 'user'] },
    ])
    const { follower, revocations } = await feedOn(t, database)
    const isLetIn = (...roles: string[]) => {
      try {
        revocations.check({ sub: accountId, sid: randomUUID(), roles, iat: 0 })
        return true
      } catch {
        return false
      }
    }
    t.ok(isLetIn('admin', 'user'))
    await putBack(database.db, [...someSessions(1), { accountId, roles: ['user'] }])
    await poll('it to be known', () => follower.head.seq === 3)
    t.ok(isLetIn('user'))
    t.notOk(isLetIn('admin', 'user'))
  })
}
