import { randomUUIDv7 } from 'node:crypto'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { type AuditEvent, type AuditFilter, createAuditStore, insertEvent } from '../../src/audit/store.ts'
import { allEvents, insertEvents, someEvent } from '../helpers/audit.ts'
import { explain, listen } from '../helpers/explain.ts'
import { NOON } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

// How many events a search reads at once.
const AT_ONCE = 1_000

const [ada, grace, nobody] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7()]
const values = {
  subject: [ada, grace, nobody],
  actor: [ada, grace, 'cli', nobody],
  ip: ['192.0.2.1', '2001:db8::1', '203.0.113.9'],
  event: ['login', 'login_failed', 'signup', 'audit_read'],
  outcome: ['success', 'failure'],
} as const

/** One of them, the first most of the time and the last never. */
function oneOf<Value>(values: readonly Value[]): Value {
  const index = Math.floor(Math.random() ** 3 * (values.length - 1))
  return values[index] as Value
}

/** So many events a second apart, the oldest first; those beside each other often at the same time. */
function someEvents(count: number): AuditEvent[] {
  const events = Array.from({ length: count }, (_, index) =>
    someEvent(NOON + Math.floor(index / 3) * 1_000, {
      subject: oneOf([...values.subject.slice(0, -1), null, nobody]),
      actor: oneOf([...values.actor.slice(0, -1), null, nobody]),
      ip: oneOf([...values.ip.slice(0, -1), null, '']),
      event: oneOf(values.event),
      outcome: Math.random() < 0.9 ? 'success' : 'failure',
    }),
  )
  return events.sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Every filter that can be made of one value or none a column. */
function allFilters(): AuditFilter[] {
  let filters: AuditFilter[] = [{}]
  for (const [column, some] of Object.entries(values)) {
    filters = filters.flatMap((filter) => [filter, ...some.map((value) => ({ ...filter, [column]: value }))])
  }
  return filters
}

function isMatch(event: AuditEvent, { from = 0, until = Number.POSITIVE_INFINITY, ...given }: AuditFilter) {
  const same = Object.entries(given).every(([column, value]) => event[column as keyof AuditEvent] === value)
  return same && event.at >= from && event.at < until
}

for (const kind of databases) {
  t.test(`an event comes back as it was written, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const full = someEvent(NOON, { user_agent: 'curl/8 ⚿', details: '{"reason":"invalid_credentials"}' })
    const empty = someEvent(NOON - 1, {
      actor: null,
      subject: null,
      session_id: null,
      ip: null,
      request_id: null,
    })
    await insertEvent(db, full)
    await insertEvent(db, empty)
    t.same(await createAuditStore(db).find({}, undefined, 10), [full, empty])
  })

  t.test(`whatever is looked for is found, the newest first, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const store = createAuditStore(db)
    const events = someEvents(3 * AT_ONCE + 100)
    await insertEvents(db, events)
    const newestFirst = events.toReversed()
    const ids = async (...[filter, below, limit]: Parameters<typeof store.find>) =>
      (await store.find(filter, below, limit)).map(({ id }) => id)

    const filters = allFilters()
    t.equal(filters.length, 1_200)
    // All of them take a while: some, and others in another run.
    const some = filters.filter((filter) => Object.keys(filter).length < 2 || Math.random() < 0.05)
    const [early, late] = [NOON + 200_000, NOON + 700_000]
    for (const [index, filter] of some.entries()) {
      const within = [{}, { from: early }, { until: late }, { from: early, until: late }][index % 4]
      const wish = { ...filter, ...within }
      const expected = newestFirst.filter((event) => isMatch(event, wish)).map(({ id }) => id)
      const page = await ids(wish, undefined, 21)
      const rest = page.length < 21 ? [] : await ids(wish, page.at(-1), 5_000)
      const message = JSON.stringify(wish)
      t.strictSame(page, expected.slice(0, 21), message)
      t.strictSame(rest, expected.slice(21), message)
    }
  })

  t.test(`times are from the first and until before the last, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const store = createAuditStore(db)
    const [early, noon, late] = [someEvent(NOON - 1), someEvent(NOON), someEvent(NOON + 1)]
    await insertEvents(db, [early, noon, late])
    t.same(await store.find({ from: NOON }, undefined, 10), [late, noon])
    t.same(await store.find({ until: NOON }, undefined, 10), [early])
    t.same(await store.find({ from: NOON, until: NOON + 1 }, undefined, 10), [noon])
    t.same(await store.find({ from: NOON, until: NOON }, undefined, 10), [])
    t.same(await store.find({ from: NOON + 1, until: NOON }, late.id, 10), [])
    t.same(await store.find({ until: NOON + 1 }, noon.id, 10), [early], 'whichever is earlier')
    t.same(await store.find({ until: NOON }, late.id, 10), [early])
    t.same(await store.find({ from: Date.parse('0000-01-01T00:00:00Z') }, undefined, 1), [late])
    t.same(await store.find({ until: Date.parse('9999-12-31T23:59:59Z') }, undefined, 1), [late])
  })

  t.test(`pages stay in step while events are written, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const store = createAuditStore(db)
    // Many at the same moment, too.
    const events = Array.from({ length: 100 }, (_, index) =>
      someEvent(NOON + Math.floor(index / 40), { ip: 'a' }),
    )
    await insertEvents(db, events)
    const read: AuditEvent[] = []
    for (let below: string | undefined; ; below = read.at(-1)?.id) {
      const page = await store.find({ ip: 'a' }, below, 7)
      read.push(...page)
      if (page.length < 7) break
      await insertEvent(db, someEvent(NOON + 1_000, { ip: 'a' }))
    }
    const ids = events.map(({ id }) => id)
    t.strictSame(
      read.map(({ id }) => id),
      ids.sort().reverse(),
    )
  })

  t.test(`a search for what hardly is there lets others have their turn, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const wide = { subject: ada, ip: '192.0.2.1' }
    const events = Array.from({ length: 20_000 }, (_, index) =>
      someEvent(NOON + index, index % 2 === 0 ? { subject: ada, ip: null } : { ip: '192.0.2.1' }),
    )
    const wanted = someEvent(NOON - 1, wide)
    await insertEvents(db, [wanted, ...events])
    const delay = monitorEventLoopDelay({ resolution: 1 })
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    delay.enable()
    t.same(await createAuditStore(db).find(wide, undefined, 20), [wanted])
    delay.disable()
    clearInterval(timer)
    t.ok(turns >= 5, `timers ran ${turns} times in between`)
    t.ok(delay.max / 1e6 < 500, `the longest wait was ${(delay.max / 1e6).toFixed(1)} ms`)
  })

  t.test(`a search goes by the index that narrows most, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const common = { event: 'login', ip: '192.0.2.1', actor: 'cli' }
    const events = Array.from({ length: 5_000 }, (_, index) => someEvent(NOON + index, common))
    const rare = someEvent(NOON - 1, { ...common, subject: ada })
    const unusual = someEvent(NOON - 2, { ...common, event: 'signup' })
    await insertEvents(db, [unusual, rare, ...events])
    const listening = listen(db)
    const store = createAuditStore(listening.db)
    t.same(await store.find({ ...common, subject: ada }, undefined, 10), [rare])
    t.same(await store.find({ ...common, event: 'signup' }, undefined, 10), [unusual])
    t.same(await store.find({ ...common, event: 'no such event' }, undefined, 10), [])
    t.ok(listening.sent.length < 15, `${listening.sent.length} queries were sent`)
  })

  t.test(`every query of the trail finds its rows by an index, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    await insertEvents(db, someEvents(3_000))
    const listening = listen(db)
    const store = createAuditStore(listening.db)
    for (const filter of allFilters().filter(() => Math.random() < 0.1)) {
      await store.find(filter, undefined, 20)
      await store.find({ ...filter, from: NOON, until: NOON + 1_000 }, randomUUIDv7(), 20)
    }
    await store.sweepOlderThan(60)(NOON)
    t.ok(listening.sent.length > 100, `${listening.sent.length} queries were sent`)
    const plans = new Map((await explain(db, kind, listening.sent)).map(({ text, plan }) => [text, plan]))
    for (const [text, plan] of plans) {
      t.notMatch(plan, /Seq Scan|SCAN audit_events(?! USING)/, text)
      t.notMatch(plan, /Sort .*audit_events|TEMP B-TREE/, `sorts nothing: ${text}`)
      // The condition that stands in the innermost query says which index it has to be.
      const [, column] = /from "audit_events" where "id" >= \S+ and "id" < \S+ and "(\w+)" =/.exec(text) ?? []
      if (column !== undefined) t.ok(plan.includes(`audit_events_by_${column}`), `by ${column}: ${text}`)
    }
  })

  t.test(`a sweep deletes what is too old, the oldest first and a batch at a time, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const day = 86_400
    const sweep = createAuditStore(db).sweepOlderThan(90 * day)
    const old = Array.from({ length: 101 }, (_, index) => someEvent(NOON - 1 - index))
    const kept = someEvent(NOON)
    await insertEvents(db, [...old, kept])
    t.same(await sweep(NOON + 90 * day * 1_000 - 101), { deleted: 0, full: false }, 'not before its time')
    t.same(await sweep(NOON + 90 * day * 1_000), { deleted: 100, full: true })
    t.same(await allEvents(db), [old[0], kept], 'the oldest went first')
    t.same(await sweep(NOON + 90 * day * 1_000), { deleted: 1, full: false })
    t.same(await sweep(NOON + 90 * day * 1_000), { deleted: 0, full: false })
    t.same(await allEvents(db), [kept])
  })
}
