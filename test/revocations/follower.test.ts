import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import type { Database } from '../../src/database/open.ts'
import type { Db } from '../../src/database/schema.ts'
import { createFollower, type FollowerParts, pollEvery } from '../../src/revocations/follower.ts'
import { createRevocationStore, revoke } from '../../src/revocations/store.ts'
import { type Cause, createRevocations, REVOCATION_LIFE } from '../../src/tokens/revocations.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { PROMPTLY, poll } from '../helpers/poll.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { databases } from '../helpers/service.ts'

// So long that no poll comes in a test.
const NEVER = 3_600_000

/** A node that follows: its memory and the lines that it logs. It stops when the test ends. */
function nodeOn(t: Test, database: Database, differing: Partial<FollowerParts> = {}) {
  const lines: { level: number; msg: string; age?: number; revocations?: number; err?: object }[] = []
  const revocations = createRevocations(Date.now)
  const follower = createFollower({
    store: createRevocationStore(database.db),
    revocations,
    onRevocations: database.onRevocations,
    interval: pollEvery[database.dialect],
    log: pino({ level: 'trace' }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    ...differing,
  })
  t.teardown(() => follower.stop())
  const refuses = (sid: string) => {
    try {
      revocations.check({ sub: 'ada', sid, roles: ['user'], iat: 0 })
      return false
    } catch (error) {
      return (error as { code: string }).code === 'token_revoked'
    }
  }
  const said = (msg: string | RegExp) => lines.filter((line) => line.msg.match(msg) !== null)
  return { follower, revocations, refuses, lines, said }
}

async function commit({ db }: { db: Db }, causes: readonly Cause[], now = Date.now()): Promise<void> {
  await db.transaction().execute((tx) => revoke(tx, causes, now))
}

/** Revokes one session. @returns its id */
async function revokeOne(database: { db: Db }, now?: number): Promise<string> {
  const sessionId = randomUUID()
  await commit(database, [{ sessionId }], now)
  return sessionId
}

const someSessions = (count: number): Cause[] =>
  Array.from({ length: count }, () => ({ sessionId: randomUUID() }))

for (const kind of databases) {
  t.test(`what is live is known before a node is ready, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    const expired = await revokeOne(database, Date.now() - REVOCATION_LIFE - 5_000)
    const live = [await revokeOne(database), await revokeOne(database)]
    await commit(database, [{ accountId: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071', roles: ['user'] }])

    const { follower, revocations, refuses, said } = nodeOn(t, database)
    t.equal(revocations.age(), Number.POSITIVE_INFINITY)
    await follower.start()
    t.ok(live.every(refuses))
    t.notOk(refuses(expired))
    t.equal(revocations.size, 3)
    t.ok(revocations.age() < 1)
    t.equal(follower.head.seq, 4)
    t.match(said('loaded the revocations'), [{ revocations: 3 }])
  })

  t.test(`what another node commits is known here within a second, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    const { follower, refuses } = nodeOn(t, here)
    await follower.start()
    for (let n = 0; n < 5; n++) {
      const sessionId = await revokeOne(there)
      await poll('its refusal', () => refuses(sessionId), PROMPTLY)
    }
    await follower.stop()
    const late = await revokeOne(there)
    t.equal(follower.dismissed, true)
    await poll('many times in which it would have been heard', pause(kind === 'sqlite' ? 300 : 700))
    t.notOk(refuses(late), 'who has stopped follows no more')
  })

  t.test(`a poll alone is enough, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    const { follower, revocations, refuses } = nodeOn(t, here, {
      onRevocations: () => async () => {},
      interval: 20,
    })
    await follower.start()
    const sessionId = await revokeOne(there)
    await poll('its refusal', () => refuses(sessionId), PROMPTLY)
    // And it goes on to say how fresh what it knows is.
    await poll('some time', pause(100))
    await poll('a fresh look', () => revocations.age() < 0.1)
  })

  t.test(`more than one read brings is loaded and followed in order, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    for (let n = 0; n < 3; n++) await commit(there, someSessions(2_000))
    const last = await revokeOne(there)
    const { follower, revocations, refuses } = nodeOn(t, here, { interval: 20 })
    await follower.start()
    t.equal(revocations.size, 6_001)
    t.ok(refuses(last))
    t.equal(follower.head.seq, 6_001)

    await commit(there, someSessions(1_500))
    await poll('them all', () => revocations.size === 7_501)
    t.equal(follower.head.seq, 7_501)
  })

  t.test(`the newest thousand are at hand, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    const numbers = (seq: number) => follower.recent(seq)?.map((each) => each.seq)
    await commit(database, someSessions(3))
    const { follower } = nodeOn(t, database, { interval: 20 })
    await follower.start()
    t.strictSame(numbers(0), [1, 2, 3])
    t.strictSame(numbers(2), [3])
    t.strictSame(numbers(3), [])

    await commit(database, someSessions(1_000))
    await poll('the others', () => follower.head.seq === 1_003)
    t.equal(numbers(2), undefined, 'for more the database has to be asked')
    t.equal(numbers(0), undefined)
    t.equal(numbers(3)?.length, 1_000)
    t.strictSame(numbers(1_001), [1_002, 1_003])
  })

  t.test(`what was swept before it was read is needed by nobody, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    await commit(database, someSessions(3))
    await database.db.deleteFrom('revocations').execute()
    const { follower, revocations } = nodeOn(t, database, { interval: 20 })
    await follower.start()
    t.equal(follower.head.seq, 3)
    t.equal(revocations.size, 0)
    t.strictSame(follower.recent(3), [])
    t.equal(follower.recent(2), undefined)
    await revokeOne(database)
    await poll('the next', () => follower.head.seq === 4)
    t.match(follower.recent(3), [{ seq: 4 }])
  })

  t.test(`who waits hears at once that something came, on ${kind}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, kind))
    await revokeOne(database)
    const { follower } = nodeOn(t, database, { interval: 20 })
    await follower.start()
    await follower.somethingAfter(0, NEVER)

    const begun = performance.now()
    await follower.somethingAfter(1, 50)
    const waited = performance.now() - begun
    t.ok(waited >= 45 && waited < 1_000, `where nothing comes, it waited ${waited} ms`)

    const [one, another] = [follower.somethingAfter(1, NEVER), follower.somethingAfter(1, NEVER)]
    await revokeOne(database)
    await Promise.all([one, another])
    t.equal(follower.head.seq, 2)

    const waiting = follower.somethingAfter(2, NEVER)
    await follower.stop()
    await waiting
    await follower.somethingAfter(2, NEVER)
  })

  t.test(`who is dismissed lets go of all who wait, and goes on following, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    const { follower, refuses } = nodeOn(t, here, { interval: 20 })
    await follower.start()
    const waiting = follower.somethingAfter(0, NEVER)
    follower.dismiss()
    await waiting
    await follower.somethingAfter(0, NEVER)
    const late = await revokeOne(there)
    await poll('it to be heard', () => refuses(late))
  })

  t.test(`a database that was put back to an earlier state is read again, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    const { follower, refuses } = nodeOn(t, here, { interval: 20 })
    await follower.start()
    const before = [await revokeOne(there), await revokeOne(there), await revokeOne(there)]
    await poll('them', () => before.every(refuses))

    const after = randomUUID()
    await there.db.transaction().execute(async (tx) => {
      await tx.deleteFrom('revocations').where('seq', '>', 1).execute()
      await tx.updateTable('revocation_head').set({ seq: 1 }).execute()
      await revoke(tx, [{ sessionId: after }], Date.now())
    })
    await poll('the new one', () => refuses(after))
    t.equal(follower.head.seq, 2)
    t.ok(before.every(refuses), 'what was known stays')
    t.match(follower.recent(1), [{ sessionId: after }])
  })

  t.test(`an earlier state that has given the same numbers again is read again, on ${kind}`, async (t) => {
    for (const [what, count] of [
      ['as many', 2],
      ['more', 3],
    ] as const) {
      const url = await emptyDatabase(t, kind)
      const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
      const { follower, refuses } = nodeOn(t, here, { interval: 20 })
      await follower.start()
      const before = [await revokeOne(there), await revokeOne(there), await revokeOne(there)]
      await poll('them', () => before.every(refuses))

      const after = Array.from({ length: count }, () => randomUUID())
      await there.db.transaction().execute(async (tx) => {
        await tx.deleteFrom('revocations').where('seq', '>', 1).execute()
        await tx.updateTable('revocation_head').set({ seq: 1 }).execute()
        const causes = after.map((sessionId) => ({ sessionId }))
        await revoke(tx, causes, Date.now())
      })
      await poll(`the new ones, ${what}`, () => after.every(refuses))
      t.equal(follower.head.seq, 1 + count)
      t.ok(before.every(refuses), 'what was known stays')
    }
  })

  t.test(`another database in the place of the first is read from its beginning, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    const { follower, refuses } = nodeOn(t, here, { interval: 20 })
    await follower.start()
    const before = await revokeOne(there)
    await poll('it', () => refuses(before))

    const [feed, first, second] = [randomUUID(), randomUUID(), randomUUID()]
    await there.db.transaction().execute(async (tx) => {
      await tx.deleteFrom('revocations').execute()
      await tx.updateTable('revocation_head').set({ seq: 0, feed }).execute()
      await revoke(tx, [{ sessionId: first }, { sessionId: second }], Date.now())
    })
    await poll('those of the other', () => refuses(first) && refuses(second))
    t.same(follower.head, { feed, seq: 2 })
    t.ok(refuses(before), 'what was known stays')
  })

  t.test(`trouble is logged once, and so is its end, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
    const { follower, revocations, refuses, lines, said } = nodeOn(t, here, { interval: 5 })
    await follower.start()
    const before = await revokeOne(there)
    await poll('it', () => refuses(before))

    for (const round of [1, 2]) {
      await sql`alter table revocation_head rename to not_here`.execute(there.db)
      await poll('the trouble', () => said(/can't be followed/).length === round)
      await poll('many more failures', pause(100))
      t.equal(said(/can't be followed/).length, round)
      t.ok(revocations.age() > 0.09, `what is known is ${revocations.age()} s old`)
      t.ok(refuses(before), 'and still in force')

      await sql`alter table not_here rename to revocation_head`.execute(there.db)
      const after = await revokeOne(there)
      await poll('what came then', () => refuses(after))
      await poll('the line', () => said('caught up with the revocations').length === round)
    }
    const [trouble] = said(/can't be followed/)
    t.match(trouble, {
      level: 40,
      age: 0,
      msg: "the revocations can't be followed: what is known is 0 s old",
    })
    t.type(trouble?.err, 'object')
    t.match(said('caught up with the revocations'), [{ level: 30 }, { level: 30 }])
    t.equal(lines.length, 5, 'and nothing else is logged')
  })

  t.test(
    `who can't load what is live doesn't start, and who stops in trouble stops, on ${kind}`,
    async (t) => {
      const database = await openAsNode(t, await emptyDatabase(t, kind))
      const stopped = nodeOn(t, database, { interval: 5 })
      await stopped.follower.start()
      await sql`drop table revocations`.execute(database.db)
      await sql`drop table revocation_head`.execute(database.db)
      await t.rejects(nodeOn(t, database).follower.start())
      await poll('the trouble', () => stopped.said(/can't be followed/).length === 1)
      await stopped.follower.stop()
      const { length } = stopped.lines
      await poll('some time', pause(50))
      t.equal(stopped.lines.length, length)
    },
  )
}

t.test('PostgreSQL tells of a commit, so that no poll is needed', async (t) => {
  const url = await emptyDatabase(t, 'postgres')
  const [here, there] = [await openAsNode(t, url), await openAsNode(t, url)]
  const { follower, refuses } = nodeOn(t, here, { interval: NEVER })
  await follower.start()
  // The first may be committed before anybody listens, and is then found at the beginning of listening.
  for (let n = 0; n < 5; n++) {
    const sessionId = await revokeOne(there)
    await poll('its refusal', () => refuses(sessionId), PROMPTLY)
  }
})

t.test('once PostgreSQL is back, what came meanwhile is read, and it tells again', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.destroy())
  const broken: Error[] = []
  const here = await openAsNode(t, postgres.url, { onIdleError: (error) => broken.push(error) })
  const { follower, revocations, refuses, said } = nodeOn(t, here, { interval: NEVER })
  const polling = nodeOn(t, here, { interval: 20 })
  await follower.start()
  await polling.follower.start()
  const before = await revokeOne(here)
  await poll('it', () => refuses(before))

  await postgres.kill()
  await poll('the trouble', () => polling.said(/can't be followed/).length === 1)
  t.ok(refuses(before), 'what is known is in force')
  await postgres.start()
  // Another node is there first.
  const there = await openAsNode(t, postgres.url)
  const meanwhile = await revokeOne(there)
  await poll('what came meanwhile', () => refuses(meanwhile) && polling.refuses(meanwhile))
  await poll('the line', () => polling.said('caught up with the revocations').length === 1)
  t.ok(revocations.age() < 10)
  for (let n = 0; n < 3; n++) {
    const sessionId = await revokeOne(there)
    await poll('its refusal', () => refuses(sessionId), PROMPTLY)
  }
  t.equal(said(/can't be followed/).length, 0, 'who polls for hours had no trouble in between')
  t.ok(broken.length > 0, 'but it was told that its connections broke')
})

/** What poll() takes in order to let so many milliseconds pass. */
function pause(milliseconds: number): () => boolean {
  const end = performance.now() + milliseconds
  return () => performance.now() >= end
}
