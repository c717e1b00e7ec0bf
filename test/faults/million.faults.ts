// Run by `npm run test:faults`: what a million live revocations cost in memory, and per guarded request.
import { randomUUID } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations, type Revocations } from '../../src/tokens/revocations.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'

const LIVE = 1_000_000
const TOKENS = 5_000
const ROUNDS = 15

// A guarded request takes some 16 µs on this kind of machine: a twentieth of that.
const MOST_NANOSECONDS = 800
const MOST_BYTES = 200

const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }

function applyMany(revocations: Revocations, count: number): void {
  for (let seq = 0; seq < count; ) {
    const batch = Array.from({ length: 5_000 }, () => ({
      seq: ++seq,
      revokedAt: Date.now(),
      sessionId: randomUUID(),
    }))
    // As they come from a database or a feed: randomUUID() gives ropes of many small strings.
    revocations.apply(JSON.parse(JSON.stringify(batch)))
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

t.test('a million live revocations are small, and the guard hardly notices', async (t) => {
  const keyring = await createKeyring([SECRET_BYTES], parties)
  const [few, many] = [createRevocations(Date.now), createRevocations(Date.now)]
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  const heap = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = heap()
  applyMany(many, LIVE)
  const bytes = (heap() - before) / LIVE
  t.equal(many.size, LIVE)

  const tokens = Array.from({ length: TOKENS }, () => handMade(goodHeader, goodClaims(Date.now())))
  const [without, withMany] = [few, many].map((revocations) =>
    createVerifier({ keyring, revocations, clock: Date.now, ...parties }),
  )
  const nanoseconds = (verify: typeof without) => {
    const started = performance.now()
    for (const token of tokens) verify?.(token)
    return ((performance.now() - started) * 1e6) / TOKENS
  }
  // The first round remembers the tokens.
  nanoseconds(without)
  nanoseconds(withMany)
  const rounds = Array.from({ length: ROUNDS }, () => [nanoseconds(without), nanoseconds(withMany)] as const)
  const [empty, full] = [median(rounds.map(([one]) => one)), median(rounds.map(([, other]) => other))]
  t.comment(
    `${bytes.toFixed(0)} bytes each; a verification ${empty.toFixed(0)} ns without, ${full.toFixed(0)} ns with them`,
  )
  t.ok(bytes < MOST_BYTES, `${bytes} bytes`)
  t.ok(full - empty < MOST_NANOSECONDS, `${full - empty} ns`)
})
