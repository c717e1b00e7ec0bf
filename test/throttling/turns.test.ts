import { setImmediate, setTimeout } from 'node:timers/promises'
import t from 'tap'
import { createTurns } from '../../src/throttling/turns.ts'

const FREE = 5

/** Something that may fail five times. Every attempt takes a moment and fails, unless it is told to succeed. */
function target() {
  const inTurn = createTurns()
  const seen = { failures: 0, underWay: 0, most: 0, looks: 0 }
  return {
    seen,
    try: (succeeds = false) =>
      inTurn(
        'ada',
        FREE,
        async () => {
          seen.looks++
          const { failures } = seen
          await setImmediate()
          if (failures >= FREE) throw new Error('refused')
          return { room: FREE - failures }
        },
        async () => {
          seen.underWay++
          seen.most = Math.max(seen.most, seen.underWay)
          await setImmediate()
          await setImmediate()
          if (!succeeds) seen.failures++
          seen.underWay--
          return succeeds
        },
      ),
  }
}

t.test('of many that fail at once, five are tried', async (t) => {
  for (const count of [1, 5, 6, 50, 200]) {
    const { seen, try: attempt } = target()
    const outcomes = await Promise.allSettled(Array.from({ length: count }, () => attempt()))
    t.equal(seen.failures, Math.min(count, FREE), `of ${count}`)
    t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, Math.min(count, FREE))
  }
})

t.test('of many that succeed, all are, several at a time', async (t) => {
  const { seen, try: attempt } = target()
  await Promise.all(Array.from({ length: 50 }, () => attempt(true)))
  t.equal(seen.most, FREE)
  t.equal(seen.failures, 0)
  t.ok(seen.looks <= 60, `${seen.looks} looks`)
})

t.test('after failures fewer go at a time, and the last one alone', async (t) => {
  const { seen, try: attempt } = target()
  for (let failed = 0; failed < FREE - 1; failed++) await attempt()
  seen.most = 0
  await Promise.all(Array.from({ length: 20 }, () => attempt(true)))
  t.equal(seen.most, 1)
})

t.test('some that fail between others never make more than five', async (t) => {
  for (let every = 2; every < 6; every++) {
    const { seen, try: attempt } = target()
    await Promise.allSettled(Array.from({ length: 60 }, (_, index) => attempt(index % every !== 0)))
    t.equal(seen.failures, FREE)
  }
})

t.test('different things do not wait for each other', async (t) => {
  const inTurn = createTurns()
  const order: string[] = []
  const held = Promise.withResolvers<void>()
  const look = async () => ({ room: 1 })
  const slow = inTurn('ada', 1, look, () => held.promise)
  const behind = inTurn('ada', 1, look, async () => order.push('behind'))
  await inTurn('bob', 1, look, async () => order.push('bob'))
  held.resolve()
  await Promise.all([slow, behind])
  t.strictSame(order, ['bob', 'behind'])
})

t.test('what is thrown is thrown, and the next one has its turn', async (t) => {
  const inTurn = createTurns()
  const look = async () => ({ room: 0 })
  const broken = inTurn('ada', FREE, look, async () => {
    throw new Error('broken')
  })
  const next = inTurn('ada', FREE, look, async () => 'done')
  await t.rejects(broken, { message: 'broken' })
  t.equal(await next, 'done')
})

t.test('who has waited for a second is told that there is too much to do', async (t) => {
  const inTurn = createTurns()
  const look = async () => ({ room: 1 })
  const first = inTurn('ada', 1, look, () => setTimeout(1_100))
  const second = inTurn('ada', 1, look, async () => t.fail('it is begun too late'))
  await t.rejects(second, { code: 'overloaded' })
  await first
  t.equal(await inTurn('ada', 1, look, async () => 'done'), 'done')
})
