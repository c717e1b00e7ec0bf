import argon2 from 'argon2'
import fastq from 'fastq'
import { Problem } from '../problem.ts'
import { normalizePassword } from './policy.ts'

/** Who wants something hashed: somebody who isn't signed in yet, or the bearer of a good token. */
export type Asker = 'stranger' | 'bearer'

// Milliseconds that work may have to wait for a hash when it is let in: behind all that was let in before, behind that of
// the same kind of asker, and behind the same asker's own. So strangers leave room for bearers, bearers for strangers, and
// nobody fills the room alone.
const LONGEST_WAIT: Readonly<Record<Asker, { all: number; kind: number; own: number }>> = {
  stranger: { all: 600, kind: 600, own: 200 },
  bearer: { all: 750, kind: 375, own: 125 },
}

// An asker may have so much work at once for each hash that runs at a time, however long a hash takes.
const OWN_ROUNDS = 2

// Milliseconds after which a hash isn't begun any more, should the wait have become longer than it looked. Work has two
// hashes at most, so it is done within two seconds or not at all.
const TOO_LATE = 900

// The package takes no fewer KiB.
const LEAST_MEMORY = 1_024

export interface PasswordsOptions {
  readonly memoryKib: number
  readonly passes: number
  readonly parallelism: number
  /** Hashes at the same time. */
  readonly concurrency: number
}

/** A hash that has been made or checked: what it waited for its turn and what it then took, both in milliseconds. */
export interface Hashing {
  readonly operation: 'hash' | 'verify'
  readonly waited: number
  readonly worked: number
}

/** What there is to do right now, and what was turned away since the start. */
export interface HashingLoad {
  /** Hashes that are being made or checked; at most as many as `concurrency`. */
  readonly running: number
  readonly concurrency: number
  /** Hashes that wait for their turn. */
  readonly waiting: number
  /** How much work was refused. */
  readonly refused: number
}

/** Slow hashing, with a bounded queue in front of it. */
export interface Passwords {
  /**
   * Lets work in that hashes: all of it, with what it asks of the database, so that of a flood next to nothing is begun
   * that won't be finished.
   *
   * @param name tells the asker from others of its kind: they share the room
   * @throws Problem overloaded, at once, where it would have to wait for too long; whatever the work throws
   */
  admit<Result>(asker: Asker, name: string, work: () => Promise<Result>): Promise<Result>
  /**
   * Says before anything is read what admit() would say to the work of any stranger.
   *
   * @throws Problem overloaded
   */
  requireRoom(): void
  /**
   * @param password what isPassword let through
   * @returns an argon2id hash in the PHC string format, salted afresh
   * @throws Problem overloaded where its turn has come too late
   */
  hash(password: string): Promise<string>
  /**
   * @param hash what hash() once returned, or undefined where there is no account: that costs the same and is never true
   * @throws Problem overloaded where its turn has come too late
   */
  verify(hash: string | undefined, password: string): Promise<boolean>
  /** Whether a hash was made with weaker parameters than those in force. */
  needsRehash(hash: string): boolean
  readonly load: HashingLoad
}

/**
 * Hashes once, so that a broken native build is found at boot, and the time of a hash is known from the start.
 * That hash is then the decoy for unknown addresses.
 *
 * @param onHashing told of each hash when it has ended, in the asynchronous context of whoever asked for it
 */
export async function createPasswords(
  options: PasswordsOptions,
  onHashing: (hashing: Hashing) => void = () => {},
): Promise<Passwords> {
  const parameters = {
    type: argon2.argon2id,
    memoryCost: options.memoryKib,
    timeCost: options.passes,
    parallelism: options.parallelism,
  } as const

  const bootedAt = performance.now()
  const decoy = await argon2.hash(crypto.randomUUID(), parameters)
  // What a hash takes, in milliseconds, smoothed; the first one also paid for loading.
  let usualTime = performance.now() - bootedAt

  const queue = fastq.promise(async ({ queuedAt, work }: Job) => {
    const startedAt = performance.now()
    if (startedAt - queuedAt > TOO_LATE) throw refuse()
    const result = await work()
    const worked = performance.now() - startedAt
    usualTime += (worked - usualTime) / 8
    return { result, waited: startedAt - queuedAt, worked }
  }, options.concurrency)

  // The queue works in the asynchronous context of whoever was before: it is told of here, in that of who asked.
  async function enqueue<Result>(
    operation: Hashing['operation'],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const { result, ...times } = await queue.push({ queuedAt: performance.now(), work })
    onHashing({ operation, ...times })
    return result as Result
  }

  // What was let in, and isn't done yet.
  const admitted = { stranger: 0, bearer: 0 }
  const admittedOf = new Map<string, number>()
  let refused = 0

  function refuse(): Problem {
    refused++
    return new Problem('overloaded')
  }

  const waitBehind = (work: number) => ((work + 1 - options.concurrency) * usualTime) / options.concurrency

  function requireRoomFor(asker: Asker): void {
    const { all, kind } = LONGEST_WAIT[asker]
    const isFull = waitBehind(admitted.stranger + admitted.bearer) > all || waitBehind(admitted[asker]) > kind
    if (isFull) throw refuse()
  }

  function requireShareFor(asker: Asker, own: number): void {
    if (own >= OWN_ROUNDS * options.concurrency && waitBehind(own) > LONGEST_WAIT[asker].own) throw refuse()
  }

  // A hash with weaker parameters takes less time, and would tell that there is an account: the rest is worked off.
  async function workOffTheRest(hash: string, password: string): Promise<void> {
    const { m, t } = costOf(hash)
    const [perKib, worked] = [timeOf(options.passes), m * timeOf(t)]
    const memoryCost = Math.round(options.memoryKib - worked / perKib)
    if (memoryCost >= LEAST_MEMORY) await argon2.hash(password, { ...parameters, memoryCost })
  }

  return {
    async admit(asker, name, work) {
      const own = admittedOf.get(name) ?? 0
      requireRoomFor(asker)
      requireShareFor(asker, own)
      admitted[asker]++
      admittedOf.set(name, own + 1)
      try {
        return await work()
      } finally {
        admitted[asker]--
        const left = (admittedOf.get(name) as number) - 1
        if (left > 0) admittedOf.set(name, left)
        else admittedOf.delete(name)
      }
    },
    requireRoom: () => requireRoomFor('stranger'),
    hash: (password) => enqueue('hash', () => argon2.hash(normalizePassword(password), parameters)),
    verify: (hash, password) =>
      enqueue('verify', async () => {
        const normalized = normalizePassword(password)
        const matches = await argon2.verify(hash ?? decoy, normalized)
        if (!matches && hash !== undefined) await workOffTheRest(hash, normalized)
        return matches && hash !== undefined
      }),
    needsRehash(hash) {
      const { m, t } = costOf(hash)
      return m < options.memoryKib || t < options.passes
    },
    load: {
      get running() {
        return queue.running()
      },
      concurrency: options.concurrency,
      get waiting() {
        return queue.length()
      },
      get refused() {
        return refused
      },
    },
  }
}

interface Job {
  readonly queuedAt: number
  readonly work: () => Promise<unknown>
}

// Per KiB, in passes. The first pass also takes the memory into use: measured, it takes as long as 1.3 of the others.
function timeOf(passes: number): number {
  return passes + 0.3
}

/** What a hash in the PHC string format says it cost: KiB of memory, and passes over it. */
function costOf(hash: string): { readonly m: number; readonly t: number } {
  const parameter = (name: string) => Number(new RegExp(`[$,]${name}=(\\d+)`).exec(hash)?.[1])
  return { m: parameter('m'), t: parameter('t') }
}
