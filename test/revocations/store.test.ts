import { randomUUID } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Db } from '../../src/database/schema.ts'
import { createRevocationStore, lockHead, revoke } from '../../src/revocations/store.ts'
import { type Cause, KEPT_BEYOND, REVOCATION_LIFE, type Revocation } from '../../src/tokens/revocations.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { NOON } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

const TRANSACTIONS = 50

const someSessions = (count: number): Cause[] =>
  Array.from({ length: count }, () => ({ sessionId: randomUUID() }))

const commit = (db: Db, causes: readonly Cause[], now = NOON) =>
  db.transaction().execute((tx) => revoke(tx, causes, now))

const numbers = (revocations: readonly Revocation[]) => revocations.map(({ seq }) => seq)
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, n) => first + n)

for (const kind of databases) {
  t.test(`an empty database has a head and nothing else, on ${kind}`, async (t) => {
    const open = async () => openAsNode(t, await emptyDatabase(t, kind))
    const [one, other] = [await open(), await open()]
    const store = createRevocationStore(one.db)
    const { feed, seq } = await store.head()
    t.match(feed, /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)
    t.equal(seq, 0)
    t.not((await createRevocationStore(other.db).head()).feed, feed, 'another database is another feed')
    t.strictSame(await store.after(0, 10), [])
    t.equal(await store.oldest(), undefined)
    t.strictSame(await store.sweep(NOON), { deleted: 0, full: false })
  })

  t.test(`a revocation comes back as it was written, in order, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const store = createRevocationStore(db)
    const { feed } = await store.head()
    const causes: Cause[] = [
      { sessionId: randomUUID() },
      { accountId: randomUUID(), roles: ['admin', 'user'] },
      { accountId: randomUUID(), roles: [] },
    ]
    const written = await commit(db, causes)
    t.strictSame(
      written,
      causes.map((cause, index) => ({ ...cause, seq: index + 1, revokedAt: NOON })),
    )
    t.strictSame(await store.after(0, 10), written)
    t.same(await store.head(), { feed, seq: 3 })
    t.equal(await store.oldest(), 1)

    const more = await commit(db, someSessions(2), NOON + 1)
    t.strictSame(await store.after(3, 10), more)
    t.strictSame(numbers(await store.after(1, 3)), [2, 3, 4], 'at most as many as are asked for')
    t.strictSame(await store.after(5, 10), [])
    t.strictSame(await commit(db, []), [], 'no cause, no number')
    t.same(await store.head(), { feed, seq: 5 })
  })

  t.test(
    `a revocation is rolled back with its cause, and its number is given again, on ${kind}`,
    async (t) => {
      const { db } = await createDatabase(t, kind)
      const store = createRevocationStore(db)
      await commit(db, someSessions(1))
      const failing = db.transaction().execute(async (tx) => {
        t.strictSame(numbers(await revoke(tx, someSessions(2), NOON)), [2, 3])
        throw new Error('the cause did not happen')
      })
      await t.rejects(failing, { message: 'the cause did not happen' })
      t.equal((await store.head()).seq, 1)
      t.strictSame(numbers(await store.after(0, 10)), [1])
      t.strictSame(numbers(await commit(db, someSessions(1))), [2])
    },
  )

  t.test(`more than a thousand are written at once, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const store = createRevocationStore(db)
    const causes = someSessions(2_501)
    const written = await commit(db, causes)
    t.strictSame(await store.after(0, 10_000), written)
    t.strictSame(numbers(written), upTo(2_501))
    t.equal((await store.head()).seq, 2_501)
  })

  t.test(`what no token needs any more is swept, a batch at a time, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const store = createRevocationStore(db)
    await commit(db, someSessions(501), NOON)
    const kept = await commit(db, someSessions(2), NOON + 1)
    const end = NOON + REVOCATION_LIFE + KEPT_BEYOND
    t.strictSame(await store.sweep(end), { deleted: 0, full: false }, 'not before its time')
    t.strictSame(await store.sweep(end + 1), { deleted: 500, full: true })
    t.equal((await store.after(0, 10)).length, 3)
    t.strictSame(await store.sweep(end + 1), { deleted: 1, full: false })
    t.strictSame(await store.after(0, 10), kept)
    t.equal(await store.oldest(), 502)

    t.strictSame(await store.sweep(end + 2), { deleted: 2, full: false })
    t.equal(await store.oldest(), undefined)
    t.equal((await store.head()).seq, 503, 'the head stays: no number is given twice')
    t.strictSame(numbers(await commit(db, someSessions(1))), [504])
  })

  t.test(`who locks the head without a number comes after the others, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    await commit(db, someSessions(3))
    const order: string[] = []
    const first = db.transaction().execute(async (tx) => {
      await revoke(tx, someSessions(1), NOON)
      order.push('first has it')
      await setTimeout(50)
      order.push('first ends')
    })
    const second = db.transaction().execute(async (tx) => {
      // It is the first that shall be first.
      while (order.length === 0 && kind === 'postgres') await setTimeout(1)
      t.equal(await lockHead(tx, 0), 4)
      order.push('second has it')
    })
    await Promise.all([first, second])
    t.strictSame(order, ['first has it', 'first ends', 'second has it'])
    t.equal((await createRevocationStore(db).head()).seq, 4)
  })

  t.test(`numbers are in the order of commits: a reader who follows misses none, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const nodes = await Promise.all([openAsNode(t, url), openAsNode(t, url), openAsNode(t, url)])
    const readers = nodes.map(({ db }) => createRevocationStore(db))
    let committed = 0
    let finished = 0

    // Each does something of its own before and after, so that who begins first is seldom who commits first; every
    // tenth gives up after it had its numbers.
    async function write(n: number): Promise<void> {
      const { db } = nodes[n % nodes.length] as { db: Db }
      const count = 1 + (n % 3)
      const work = () =>
        db.transaction().execute(async (tx) => {
          if (kind === 'postgres') await setTimeout((n * 7) % 10)
          await revoke(tx, someSessions(count), NOON)
          await setTimeout((n * 3) % 5)
          if (n % 10 === 9) throw new Error('given up')
          return 'committed'
        })
      // Who waits for too long on a slow machine comes again, as a client does.
      const outcome = await poll(`transaction ${n}`, () =>
        work().catch((error) => error.code !== 'database_unavailable' && error.message),
      )
      t.equal(outcome, n % 10 === 9 ? 'given up' : 'committed', `transaction ${n}`)
      if (outcome === 'committed') committed += count
      finished++
    }

    async function follow(store: (typeof readers)[number]): Promise<number[]> {
      const seen: number[] = []
      for (let last = false; ; ) {
        const batch = await store.after(seen.at(-1) ?? 0, 4)
        seen.push(...numbers(batch))
        if (last && batch.length === 0) return seen
        last = finished === TRANSACTIONS
        await setTimeout(1)
      }
    }

    const following = readers.map(follow)
    await Promise.all(Array.from({ length: TRANSACTIONS }, (_, n) => write(n)))
    for (const seen of await Promise.all(following)) t.strictSame(seen, upTo(committed))
    t.equal((await readers[0]?.head())?.seq, committed)
    t.ok(committed > 80, `${committed} were committed`)
  })
}
