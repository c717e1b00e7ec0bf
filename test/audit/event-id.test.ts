import t from 'tap'
import { eventId, leastEventId } from '../../src/audit/event-id.ts'
import { Id } from '../../src/http/schemas.ts'
import { NOON } from '../helpers/rows.ts'

t.test('an id is a UUIDv7 of its time', async (t) => {
  const hex = NOON.toString(16).padStart(12, '0')
  const pattern = new RegExp(
    `^${hex.slice(0, 8)}-${hex.slice(8)}-7[\\da-f]{3}-[89ab][\\da-f]{3}-[\\da-f]{12}$`,
  )
  const ids = Array.from({ length: 1_000 }, () => eventId(NOON))
  for (const id of ids) t.match(id, pattern)
  t.equal(new Set(ids).size, ids.length, 'each its own')
  t.ok(Id.safeParse(ids[0]).success)
})

t.test('the order of ids is that of time', async (t) => {
  for (let i = 0; i < 1_000; i++) {
    t.ok(eventId(NOON + i) < eventId(NOON + i + 1))
    t.ok(leastEventId(NOON + i) <= eventId(NOON + i))
    t.ok(eventId(NOON + i) < leastEventId(NOON + i + 1))
  }
})

t.test('every time has a least id, however long ago or far off', async (t) => {
  const longAgo = leastEventId(Date.parse('0000-01-01T00:00:00Z'))
  t.equal(longAgo, leastEventId(0))
  const farOff = leastEventId(Date.parse('9999-12-31T23:59:59Z'))
  t.ok(farOff > leastEventId(NOON))
  t.ok(leastEventId(Number.MAX_SAFE_INTEGER) > farOff)
})
