import t from 'tap'
import { transact } from '../../src/database/transaction.ts'
import { FORGOTTEN_AFTER, SKEW, WINDOW } from '../../src/throttling/limits.ts'
import { type AttemptStore, type Attempts, createAttemptStore, keyOf } from '../../src/throttling/store.ts'
import { explain, listen } from '../helpers/explain.ts'
import { NOON } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

const SECOND = 1_000
const subject = keyOf('account', 'ada@example.com')
const counter = { key: subject, subject }
const address = keyOf('address', '192.0.2.1')

const fail = (store: AttemptStore, now = NOON, at = counter) =>
  transact(store.db, (tx) => store.count(tx, at, now))

async function only(store: AttemptStore, key = subject): Promise<Attempts> {
  const [row] = await store.read([key])
  if (row === undefined) throw new Error('there is no such row')
  return row
}

t.test('keys differ where anything differs', async (t) => {
  t.notOk(keyOf('a', 'bc').equals(keyOf('ab', 'c')))
  t.notOk(keyOf('account', 'ada').equals(keyOf('address', 'ada')))
  t.ok(keyOf('account', 'ada').equals(keyOf('account', 'ada')))
})

for (const kind of databases) {
  t.test(`failures at an account are counted, and block it from the fifth on, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    for (const failures of [1, 2, 3, 4]) {
      t.equal(await fail(store), failures)
      t.equal((await only(store)).blocked_until, 0)
    }
    t.equal(await fail(store), 5)
    t.match(await only(store), { blocked_until: NOON + SECOND, expires_at: NOON + FORGOTTEN_AFTER })
    t.equal(await fail(store, NOON + SECOND), 6)
    t.match(await only(store), { blocked_until: NOON + 3 * SECOND })

    t.equal(await fail(store, NOON + SECOND + FORGOTTEN_AFTER), 1, 'those before are forgotten')
    t.match(await only(store), { failures: 1, expires_at: NOON + SECOND + 2 * FORGOTTEN_AFTER })
  })

  t.test(`of several that claim an attempt one gets it, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    for (let failures = 0; failures < 5; failures++) await fail(store)
    const row = await only(store)
    const now = NOON + SECOND
    const claims = await Promise.all(Array.from({ length: 10 }, () => store.claim(row, now)))
    t.strictSame(
      claims.filter((claim) => claim !== undefined),
      [6],
    )
    t.match(await only(store), {
      failures: 6,
      blocked_until: now + 2 * SECOND,
      expires_at: now + FORGOTTEN_AFTER,
    })
    await store.forget(store.db, counter.key)
    t.equal(await store.claim(row, now), undefined, 'what is gone is not claimed')
  })

  t.test(`what many count at once is counted, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    const counts = await Promise.all(Array.from({ length: 8 }, () => fail(store)))
    t.strictSame(
      counts.toSorted((a, b) => a - b),
      Array.from({ length: 8 }, (_, index) => index + 1),
    )
    const windows = await Promise.all(
      Array.from({ length: 8 }, () => store.countInWindow(store.db, address, NOON)),
    )
    t.equal(Math.max(...windows.map(({ failures }) => failures)), 8)
  })

  t.test(`a window ends a minute after its first failure, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    const count = (at: number) => store.countInWindow(store.db, address, at)
    t.match(await count(NOON), { failures: 1, expires_at: NOON + WINDOW })
    t.match(await count(NOON + WINDOW - 1), { failures: 2, expires_at: NOON + WINDOW })
    t.match(await count(NOON + WINDOW), { failures: 1, expires_at: NOON + 2 * WINDOW })
  })

  t.test(`a window from before a clock was set back is over, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    const count = (at: number) => store.countInWindow(store.db, address, at)
    await count(NOON)
    t.match(await count(NOON - SKEW), { failures: 2 }, 'but for what clocks of nodes differ by')
    t.match(await count(NOON - SKEW - 1), { failures: 1, expires_at: NOON - SKEW - 1 + WINDOW })
  })

  t.test(`what is rolled back was not counted, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    const broken = transact(store.db, async (tx) => {
      await store.count(tx, counter, NOON)
      throw new Error('broken')
    })
    await t.rejects(broken, { message: 'broken' })
    t.strictSame(await store.read([counter.key]), [undefined])
  })

  t.test(`rows are read in the order of their keys, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    await fail(store)
    await store.remember(store.db, { key: address, subject }, NOON)
    t.match(await store.read([address, keyOf('nobody'), subject]), [
      { failures: 0 },
      undefined,
      { failures: 1 },
    ])
  })

  t.test(`a reset forgets what failed at its subjects and nothing else, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    const elsewhere = { key: keyOf('account', 'ada@example.com', '192.0.2.1'), subject }
    const bob = { key: keyOf('account', 'bob'), subject: keyOf('account', 'bob') }
    const familiar = { key: keyOf('familiar', 'ada@example.com', '192.0.2.1'), subject: keyOf('familiars') }
    for (const each of [counter, elsewhere, bob]) await fail(store, NOON, each)
    await store.remember(store.db, familiar, NOON + SECOND)
    await store.countInWindow(store.db, address, NOON)

    await transact(store.db, (tx) => store.reset(tx, [subject]))
    const left = await store.read([counter.key, elsewhere.key, bob.key, familiar.key, address])
    t.strictSame(
      left.map((row) => row !== undefined),
      [false, false, true, true, true],
    )
  })

  t.test(`what is needed no more is swept, a batch at a time, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    const rows = Array.from({ length: 501 }, (_, index) => ({
      ...{ key: keyOf('nobody', String(index)), subject: null, failures: 1, blocked_until: 0 },
      expires_at: NOON,
    }))
    await store.db.insertInto('attempts').values(rows).execute()
    await store.remember(store.db, { key: address, subject }, NOON + 1)
    t.strictSame(await store.sweep(NOON - 1), { deleted: 0, full: false })
    t.strictSame(await store.sweep(NOON), { deleted: 500, full: true })
    t.strictSame(await store.sweep(NOON), { deleted: 1, full: false })
    t.ok((await store.read([address]))[0])
  })

  t.test(`every query finds its rows by an index, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const listening = listen(db)
    const store = createAttemptStore(listening.db)
    for (let failures = 0; failures < 5; failures++) await fail(store)
    await store.claim(await only(store), NOON)
    await store.countInWindow(store.db, address, NOON)
    await store.remember(store.db, { key: address, subject }, NOON)
    await store.forget(store.db, address)
    await transact(store.db, (tx) => store.reset(tx, [subject, address]))
    await store.sweep(NOON)
    t.ok(listening.sent.length > 10)
    for (const { text, plan } of await explain(db, kind, listening.sent)) {
      t.notMatch(plan, /Seq Scan|SCAN attempts(?! USING)/, text)
    }
  })

  t.test(`an address that is remembered again is remembered longer, on ${kind}`, async (t) => {
    const store = createAttemptStore((await createDatabase(t, kind)).db)
    await store.remember(store.db, { key: address, subject }, NOON)
    await store.remember(store.db, { key: address, subject }, NOON + SECOND)
    t.match(await only(store, address), { expires_at: NOON + SECOND, failures: 0 })
  })
}
