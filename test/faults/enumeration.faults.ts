import { randomInt } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createApp } from '../../src/app.ts'
import { parseConfig } from '../../src/config.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { WRONG } from '../helpers/attempts.ts'
import { type AccountOfKind, createKinds, emailOf, kinds } from '../helpers/kinds.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { startServer } from '../helpers/process.ts'
import { CHEAP_ARGON2, databases, SECRET, UNTHROTTLED } from '../helpers/service.ts'

// With real hashes of 19 MiB so many samples would take minutes: these take a sixth of it. A smaller sample has real ones.
const CHEAPER = { ...CHEAP_ARGON2, memoryKib: 3_072 }
const REAL = { memoryKib: 19_456, passes: 2 }
const [SAMPLES, REAL_SAMPLES, WARM_UP] = [500, 50, 10]

// What is promised: a difference is chance, by Welch's t, or the medians differ by less than a twentieth (or than 0.5 ms,
// which a network doesn't let through). That there is no statement more or less, test/security/enumeration.test.ts shows.
const MOST_T = 4.5
const [MOST_OF_MEDIAN, LEAST_DIFFERENCE] = [0.05, 0.5]

/**
 * What somebody sees of an attempt, but for what differs each time; how long it took, and what it took of processors
 * in this process, on which others have no influence: both in milliseconds.
 */
interface Sample {
  readonly seen: string
  readonly took: number
  readonly worked: number
}

type Attempt = (
  email: string,
) => Promise<{ status: number; headers: Iterable<[string, unknown]>; body: string }>

async function sample(attempt: Attempt, email: string): Promise<Sample> {
  const [begun, before] = [performance.now(), process.cpuUsage()]
  const { status, headers, body } = await attempt(email)
  const took = performance.now() - begun
  const { user, system } = process.cpuUsage(before)
  const worked = (user + system) / 1_000
  // Nobody was looked up: the machine is too busy.
  if (status === 503) {
    await setTimeout(250)
    return sample(attempt, email)
  }
  const alike = [...headers].filter(([name]) => name !== 'date' && name !== 'x-request-id')
  const { request_id, ...told } = JSON.parse(body)
  if (typeof request_id !== 'string') throw new Error('the answer has no request_id')
  return { seen: JSON.stringify({ status, alike, told }), took, worked }
}

/** Attempts at an account of each kind in turn, in another order each round; no account is tried twice. */
async function sampleKinds(attempt: Attempt, count: number): Promise<Map<AccountOfKind, Sample[]>> {
  const samples = new Map<AccountOfKind, Sample[]>(kinds.map((kind) => [kind, []]))
  for (let number = 0; number < WARM_UP + count; number++) {
    for (const kind of shuffled(kinds)) {
      const taken = await sample(attempt, emailOf(kind, number))
      if (number >= WARM_UP) samples.get(kind)?.push(taken)
    }
  }
  return samples
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  const rest = [...items]
  return items.map(() => rest.splice(randomInt(rest.length), 1)[0] as Item)
}

/** Asserts that nothing tells a kind from those that there isn't an account of. */
function areAlike(
  t: Test,
  samples: ReadonlyMap<string, readonly Sample[]>,
  about: string,
  measures: readonly ('took' | 'worked')[] = ['took', 'worked'],
): void {
  const reference = samples.get('unknown') as readonly Sample[]
  const [{ seen } = { seen: '' }] = reference
  for (const [kind, each] of samples) {
    t.strictSame(
      [...new Set(each.map((one) => one.seen))],
      [seen],
      `${kind}: the same status, headers and body`,
    )
  }
  for (const measure of measures) {
    const of = (each: readonly Sample[]) => each.map((one) => one[measure])
    // The slowest tenth is somebody else's: another process, a collection of garbage, a flush of the disk.
    const slowest = quantile([...samples.values()].flatMap(of), 0.9)
    const times = (each: readonly Sample[]) => of(each).filter((time) => time <= slowest)
    const usual = median(times(reference))
    for (const [kind, each] of samples) {
      if (each === reference) continue
      const difference = median(times(each)) - usual
      const welch = welchT(times(each), times(reference))
      const isClose = Math.abs(difference) < Math.max(LEAST_DIFFERENCE, MOST_OF_MEDIAN * usual)
      t.ok(Math.abs(welch) < MOST_T || isClose, `${kind} ${measure} the same time`)
      t.comment(
        `${about}, ${each.length} of ${kind} against unknown, ${measure} ${usual.toFixed(2)} ms: difference of ` +
          `medians ${difference.toFixed(3)} ms, Welch's t ${welch.toFixed(2)}`,
      )
    }
  }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(share * (sorted.length - 1))] as number
}

const median = (values: readonly number[]) => quantile(values, 0.5)
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length

function welchT(one: readonly number[], other: readonly number[]): number {
  const spread = (values: readonly number[]) => {
    const middle = mean(values)
    const squares = values.map((value) => (value - middle) ** 2)
    return squares.reduce((sum, value) => sum + value, 0) / (values.length - 1) / values.length
  }
  return (mean(one) - mean(other)) / Math.sqrt(spread(one) + spread(other))
}

for (const dialect of databases) {
  t.test(`the time of a wrong password tells nothing of the account, on ${dialect}`, async (t) => {
    const database = await openAsNode(t, await emptyDatabase(t, dialect))
    await createKinds(database.db, WARM_UP + SAMPLES, CHEAPER)
    const config = parseConfig({ JWT_SECRET: SECRET, ...UNTHROTTLED })
    const app = createApp({
      ...{ config, database, clock: Date.now },
      keyring: await createKeyring(config.secrets ?? [], config),
      passwords: await createPasswords(CHEAPER),
      logger: pino({ level: 'silent' }, { write: () => {} }),
    })
    await app.ready()
    t.teardown(() => app.close())
    // Without a socket in between: whoever is farther away sees less.
    const attempt: Attempt = async (email) => {
      const payload = { email, password: WRONG }
      const reply = await app.inject({ method: 'POST', url: '/auth/login', payload })
      return { status: reply.statusCode, headers: Object.entries(reply.headers), body: reply.body }
    }
    areAlike(t, await sampleKinds(attempt, SAMPLES), `${dialect}, argon2 with 3 MiB`)

    const held = new Map<string, Sample[]>(kinds.map((kind) => [kind, []]))
    for (const kind of kinds) for (let failed = 1; failed < 7; failed++) await attempt(emailOf(kind))
    for (let number = 0; number < SAMPLES; number++) {
      for (const kind of shuffled(kinds)) {
        const taken = await sample(attempt, emailOf(kind))
        // Once a wait is over somebody has to fail again, which is no refusal.
        const isRefused = taken.seen.includes('"status":429')
        // What differs is how long is left.
        const seen = taken.seen.replace(/t=\d+|in \d+ s|"retry-after","\d+"/g, '')
        if (isRefused) held.get(kind)?.push({ ...taken, seen })
      }
    }
    areAlike(t, held, `${dialect}, held back`)
  })
}

t.test('nor does it with real hashes, over a socket', async (t) => {
  const url = await emptyDatabase(t, 'sqlite')
  const { db } = await openAsNode(t, url)
  await createKinds(db, WARM_UP + REAL_SAMPLES, REAL)
  const server = await startServer(t, { env: { JWT_SECRET: SECRET, DATABASE_URL: url } })
  const attempt: Attempt = async (email) => {
    const reply = await fetch(`${server.url}/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: WRONG }),
    })
    return { status: reply.status, headers: reply.headers.entries(), body: await reply.text() }
  }
  areAlike(t, await sampleKinds(attempt, REAL_SAMPLES), 'sqlite, over a socket, argon2 with 19 MiB', ['took'])
})
