import t from 'tap'
import { blockedUntil, failuresAt, failuresIn, SKEW, WINDOW, waitAfter } from '../../src/throttling/limits.ts'
import type { Attempts } from '../../src/throttling/store.ts'
import { NOON } from '../helpers/rows.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

function row(differing: Partial<Attempts>): Attempts {
  return {
    ...{ key: Buffer.alloc(32), subject: null, failures: 5, blocked_until: 0, expires_at: NOON + HOUR },
    ...differing,
  }
}

t.test('the wait doubles from a second to a quarter of an hour, and then it is a day', async (t) => {
  const seconds = Array.from({ length: 18 }, (_, failures) => waitAfter(failures) / 1_000)
  t.strictSame(seconds, [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900])
  t.equal(waitAfter(99), 15 * MINUTE)
  t.equal(waitAfter(100), DAY)
  t.equal(waitAfter(1_000_000), DAY)
})

t.test('an account is blocked until its wait is over', async (t) => {
  t.equal(blockedUntil(undefined, NOON), undefined)
  t.equal(blockedUntil(row({ blocked_until: NOON + 1 }), NOON), NOON + 1)
  t.equal(blockedUntil(row({ blocked_until: NOON }), NOON), undefined)
})

t.test('a wait that is longer than it can be is from before a clock was set back', async (t) => {
  const [wait, allowed] = [waitAfter(5), waitAfter(5) + SKEW]
  t.equal(blockedUntil(row({ blocked_until: NOON + allowed }), NOON), NOON + allowed)
  t.equal(blockedUntil(row({ blocked_until: NOON + allowed + 1 }), NOON), undefined)
  t.equal(blockedUntil(row({ blocked_until: NOON + HOUR + wait }), NOON), undefined)
})

t.test('failures count until they are forgotten', async (t) => {
  t.equal(failuresAt(undefined, NOON), 0)
  t.equal(failuresAt(row({ expires_at: NOON + 1 }), NOON), 5)
  t.equal(failuresAt(row({ expires_at: NOON }), NOON), 0)
  t.equal(failuresIn(undefined, NOON), 0)
  t.equal(failuresIn(row({ expires_at: NOON }), NOON), 0)
  t.equal(failuresIn(row({ expires_at: NOON + WINDOW }), NOON), 5)
  t.equal(failuresIn(row({ expires_at: NOON + WINDOW + SKEW + 1 }), NOON), 0, 'a clock was set back')
})
