import argon2 from 'argon2'
import fastq from 'fastq'
import { Problem } from '../problem.ts'
import { normalizePassword } from './policy.ts'

/** Milliseconds that a hash may have to wait for its turn. */
const LONGEST_WAIT = 1_000

export interface PasswordsOptions {
  readonly memoryKib: number
  readonly passes: number
  readonly parallelism: number
  /** Hashes at the same time. */
  readonly concurrency: number
}

/** Slow hashing, with a bounded queue in front of it. */
export interface Passwords {
  /**
   * @param password what isPassword let through
   * @returns an argon2id hash in the PHC string format, salted afresh
   * @throws Problem overloaded, before any hashing
   */
  hash(password: string): Promise<string>
  /**
   * @param hash what hash() once returned, or undefined where there is no account: that costs the same and is never true
   * @throws Problem overloaded, before any hashing
   */
  verify(hash: string | undefined, password: string): Promise<boolean>
  /** Whether a hash was made with weaker parameters than those in force. */
  needsRehash(hash: string): boolean
}

/**
 * Hashes once, so that a broken native build is found at boot, and the time of a hash is known from the start.
 * That hash is then the decoy for unknown addresses.
 */
export async function createPasswords(options: PasswordsOptions): Promise<Passwords> {
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
    if (startedAt - queuedAt > LONGEST_WAIT) throw new Problem('overloaded')
    const result = await work()
    usualTime += (performance.now() - startedAt - usualTime) / 8
    return result
  }, options.concurrency)

  // The decision falls before anything is queued: who would have to wait too long is told so at once.
  async function enqueue<Result>(work: () => Promise<Result>): Promise<Result> {
    const wait = ((queue.length() + 1) * usualTime) / options.concurrency
    if (queue.running() >= options.concurrency && wait > LONGEST_WAIT) throw new Problem('overloaded')
    return (await queue.push({ queuedAt: performance.now(), work })) as Result
  }

  return {
    hash: (password) => enqueue(() => argon2.hash(normalizePassword(password), parameters)),
    async verify(hash, password) {
      const matches = await enqueue(() => argon2.verify(hash ?? decoy, normalizePassword(password)))
      return matches && hash !== undefined
    },
    needsRehash(hash) {
      const parameter = (name: string) => Number(new RegExp(`[$,]${name}=(\\d+)`).exec(hash)?.[1])
      return parameter('m') < options.memoryKib || parameter('t') < options.passes
    },
  }
}

interface Job {
  readonly queuedAt: number
  readonly work: () => Promise<unknown>
}
