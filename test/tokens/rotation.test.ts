import t, { type Test } from 'tap'
import { droppedAtOnce, rotate, type Step } from '../../src/tokens/rotation.ts'
import { generateSecret, kidOf, NOTE, parseSecrets } from '../../src/tokens/secrets.ts'
import { NOON } from '../helpers/rows.ts'

const PROPAGATION = 60
const TOKEN_LIFE = 610

const kidsOf = (text: string) => parseSecrets(text).map(kidOf)
const kidOfOne = (text: string) => kidsOf(text)[0] as string
const notesOf = (text: string) => text.split('\n').filter((line) => line.startsWith(NOTE))

interface Options {
  /** Seconds after noon. */
  readonly at?: number
  readonly newSecret?: string
  readonly atOnce?: boolean
}

function take(
  step: Step,
  text: string,
  { at = 0, newSecret = generateSecret(), atOnce = false }: Options = {},
) {
  const now = NOON + at * 1_000
  return rotate(step, text, { now, newSecret, propagation: PROPAGATION, tokenLife: TOKEN_LIFE, atOnce })
}

/** Asserts that a step is refused, with that reason. */
function isRefused(t: Test, reason: RegExp, step: Step, text: string, options?: Options): void {
  t.throws(() => take(step, text, options), { name: 'RotationFault', message: reason }, `${step}: ${reason}`)
}

t.test(
  'three steps put one secret in the place of another, each at the time the one before it named',
  async (t) => {
    const [older, newer] = [generateSecret(), generateSecret()]
    const [olderKid, newerKid] = [kidOfOne(older), kidOfOne(newer)]

    const added = take('next', `${older}\n`, { newSecret: newer })
    t.strictSame(added.kids, [olderKid, newerKid])
    t.strictSame(kidsOf(added.text), added.kids, 'a node reads them so')
    t.strictSame(added.following, { step: 'promote', at: NOON + PROPAGATION * 1_000 })

    const promoted = take('promote', added.text, { at: PROPAGATION })
    t.strictSame(promoted.kids, [newerKid, olderKid])
    t.strictSame(kidsOf(promoted.text), promoted.kids)
    t.strictSame(promoted.following, { step: 'retire', at: NOON + (2 * PROPAGATION + TOKEN_LIFE) * 1_000 })

    const retired = take('retire', promoted.text, { at: 2 * PROPAGATION + TOKEN_LIFE })
    t.strictSame(
      retired,
      { text: `${newer}\n`, kids: [newerKid], following: undefined },
      'nothing else is left',
    )
  },
)

t.test('a step that comes too early is refused with the seconds left and the time', async (t) => {
  const added = take('next', generateSecret()).text
  isRefused(t, /^too early to promote: 60 s left, safe at 2026-01-01T12:01:00\.000Z$/, 'promote', added)
  isRefused(t, /^too early to promote: 1 s left/, 'promote', added, { at: PROPAGATION - 0.001 })
  isRefused(t, /^too early to promote: 90 s left/, 'promote', added, { at: -30 })
  const promoted = take('promote', added, { at: PROPAGATION }).text
  isRefused(t, /^too early to retire: 670 s left, safe at 2026-01-01T12:12:10/, 'retire', promoted, {
    at: 60,
  })
  isRefused(t, /^too early to retire: 1 s left/, 'retire', promoted, { at: 729.5 })
})

t.test('a step that comes out of order is refused with the one to do, whatever the hurry', async (t) => {
  const alone = generateSecret()
  const added = take('next', alone).text
  const promoted = take('promote', added, { at: PROPAGATION }).text
  for (const atOnce of [false, true]) {
    const options = { at: 100_000, atOnce }
    isRefused(t, /^[\w-]{16} is alone: the step to do is next$/, 'promote', alone, options)
    isRefused(t, /^[\w-]{16} is alone: the step to do is next$/, 'retire', alone, options)
    isRefused(t, /has been added and waits: the step to do is promote$/, 'next', added, options)
    isRefused(t, /doesn't sign yet: the step to do is promote$/, 'retire', added, options)
    isRefused(t, /has taken the place of another: the step to do is retire$/, 'next', promoted, options)
    isRefused(t, /signs already: the step to do is retire$/, 'promote', promoted, options)
  }
})

t.test('in a hurry nothing is waited for, and what was dropped is written down for the nodes', async (t) => {
  const leaked = generateSecret()
  const added = take('next', leaked).text
  t.strictSame([...droppedAtOnce(added)], [])
  const promoted = take('promote', added, { atOnce: true }).text
  t.strictSame(kidsOf(promoted), kidsOf(added).toReversed())
  t.strictSame([...droppedAtOnce(promoted)], [])
  const retired = take('retire', promoted, { atOnce: true }).text
  t.strictSame(kidsOf(retired), kidsOf(promoted).slice(0, 1))
  t.strictSame([...droppedAtOnce(retired)], [kidOfOne(leaked)])
  t.notOk(retired.includes(leaked))

  // A node that has missed it may read the file only after the next rotation has begun.
  const again = take('next', retired, { at: 1 }).text
  const andAgain = take('retire', take('promote', again, { at: 100 }).text, { at: 10_000 }).text
  for (const text of [again, andAgain]) t.strictSame([...droppedAtOnce(text)], [kidOfOne(leaked)])
  const second = take('retire', take('promote', take('next', andAgain).text, { atOnce: true }).text, {
    atOnce: true,
  })
  t.strictSame([...droppedAtOnce(second.text)], [kidOfOne(leaked), kidOfOne(andAgain)])
})

t.test('a list that was written by hand: what it does not say is not guessed', async (t) => {
  const [first, second, third] = [generateSecret(), generateSecret(), generateSecret()]
  const [firstKid, secondKid, thirdKid] = [kidOfOne(first), kidOfOne(second), kidOfOne(third)]
  const list = `${first},\n ${second}`
  isRefused(
    t,
    new RegExp(`^it doesn't say since when ${secondKid} has been in it; --now, if that is 60 s or more$`),
    'promote',
    list,
  )
  isRefused(
    t,
    new RegExp(`^it doesn't say since when ${firstKid} has signed; --now, if that is 670 s or more$`),
    'retire',
    list,
  )
  t.strictSame(take('promote', list, { atOnce: true }).kids, [secondKid, firstKid])
  t.strictSame(take('retire', list, { atOnce: true }).kids, [firstKid])

  const added = take('next', list, { newSecret: third })
  t.strictSame(added.kids, [firstKid, thirdKid, secondKid], 'the new one comes next')
  const promoted = take('promote', added.text, { at: 60 })
  t.strictSame(promoted.kids, [thirdKid, firstKid, secondKid])
  t.strictSame(take('retire', promoted.text, { at: 730 }).kids, [thirdKid])
})

t.test('an order that was changed by hand after a step is not taken for what the notes say', async (t) => {
  const added = take('next', generateSecret()).text
  const swapped = `${notesOf(added).join('\n')}\n${added.split('\n')[1]?.split(',').reverse().join(',')}`
  t.strictSame(kidsOf(swapped), kidsOf(added).toReversed())
  for (const step of ['promote', 'retire'] as const)
    isRefused(t, /doesn't say since when/, step, swapped, { at: 9e5 })

  const promoted = take('promote', added, { at: 60 }).text
  const back = `${notesOf(promoted).join('\n')}\n${promoted.split('\n')[1]?.split(',').reverse().join(',')}`
  for (const step of ['promote', 'retire'] as const)
    isRefused(t, /doesn't say since when/, step, back, { at: 9e5 })
})

t.test('secrets stay in the words in which they were written', async (t) => {
  const words = '# words of my own: one two three four five six seven'
  const hex = `hex:${parseSecrets(generateSecret())[0]?.toString('hex').toUpperCase()}`
  const { text } = take('next', `${words},${hex}\r\n`)
  t.ok(text.split('\n')[1]?.startsWith(`${words},base64:`))
  t.ok(text.endsWith(`,${hex}\n`))
})

t.test(
  'lines that begin with exactly the mark of a note are no part of the secrets, and no others',
  async (t) => {
    const secret = 'a line that is quite long enough for it'
    const [bytes] = parseSecrets(secret)
    for (const text of [
      `${NOTE}anything at all\n${secret}`,
      `${secret}\n${NOTE}base64:x,y`,
      `${NOTE}\r\n${secret}\r\n`,
    ]) {
      t.strictSame(parseSecrets(text), [bytes], JSON.stringify(text))
    }
    for (const line of ['# latchkey', '#latchkey: x', ' # latchkey: x', '# Latchkey: x', '# a comment']) {
      t.strictSame(parseSecrets(`${line}\n${secret}`), [Buffer.from(`${line}\n${secret}`.trim())], line)
    }
    t.throws(() => parseSecrets(`${NOTE}${secret}`), { name: 'SecretFault' }, 'a note alone is no secret')
  },
)

t.test('a note that says nothing of use is as none', async (t) => {
  const { text } = take('next', generateSecret())
  const kid = kidsOf(text)[1]
  const time = '2026-01-01T12:00:00.000Z'
  t.equal(notesOf(text)[0], `${NOTE}added ${kid} ${time}`)
  const list = text.split('\n')[1]
  const useless = [
    `added ${kid}`,
    `added ${kid} then`,
    `added ${kid} 2026-13-77T99:00:00Z`,
    `added ${kid} 1767268800000`,
    `added ${kid} ${time} `.replace(' ', '  '),
    `Added ${kid} ${time}`,
    `added ${kidsOf(text)[0]} ${time}`,
    `dropped ${kid} ${time}`,
    `added __proto__ ${time}`,
  ]
  for (const note of useless) {
    isRefused(t, /doesn't say since when/, 'promote', `${NOTE}${note}\n${list}`, { at: 9e5 })
    t.equal(droppedAtOnce(`${NOTE}${note}\n${list}`).size, 0)
  }
  t.ok(
    take('promote', `${NOTE}added ${kid} ${time}\r\n${list}\r\n`, { at: 60 }),
    'the end of a line may be any',
  )

  // Of two that speak of one secret the later line was written later.
  const twice = `${NOTE}added ${kid} ${time}\n${NOTE}added ${kid} 2026-01-01T13:00:00Z\n${list}`
  isRefused(t, /3600 s left/, 'promote', twice, { at: 60 })
  isRefused(t, /safe at \+010000-/, 'promote', `${NOTE}added ${kid} 9999-12-31T23:59:59.999Z\n${list}`)
})

t.test('secrets that could not be used are not rotated', async (t) => {
  for (const text of ['', 'short', `${NOTE}added x y`, `${generateSecret()},`]) {
    for (const step of ['next', 'promote', 'retire'] as const) {
      t.throws(() => take(step, text, { atOnce: true }), { name: 'SecretFault' }, `${step} of ${text}`)
    }
  }
})
