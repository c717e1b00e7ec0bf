import { type LoadOptions, type LoadResult, load } from './load.ts'
import { cpuSeconds } from './proc.ts'
import { measured, shuffled } from './stats.ts'
import type { Measured, RunOptions } from './types.ts'

/** Something to load, in rounds. */
export interface Target {
  /** Unique among those that are measured together. */
  readonly name: string
  /** The process whose CPU time is counted, with all that it started. */
  readonly pid: number
  /** Comes before each load, and isn't measured. */
  prepare?(): Promise<void>
  load(seconds: number): Promise<LoadResult>
}

/** What one target did in one round. */
export interface Round {
  /** Requests per second. */
  readonly rps: number
  /** CPU time of the server per request, in microseconds. */
  readonly cpuMicroseconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** By target, its rounds: the n-th of each was measured in the same round. */
export type Rounds<Name extends string = string> = ReadonlyMap<Name, readonly Round[]>

/** A target that sends what the options say, and takes their sequence up where it left it. */
export function target(name: string, pid: number, options: Omit<LoadOptions, 'seconds' | 'start'>): Target {
  let start = 0
  return {
    name,
    pid,
    async load(seconds) {
      const result = await load({ ...options, seconds, start })
      start = result.next
      return result
    },
  }
}

/**
 * Loads each target in turn, in a new random order every round. The first round warms up and doesn't count.
 *
 * @param targets a list in the list is kept together: its targets are loaded one right after the other, in a random
 *   order of their own, so that the ratio between them suffers least from a machine that changes its pace
 */
export async function measureRounds(
  targets: readonly (Target | readonly Target[])[],
  { rounds, seconds }: Pick<RunOptions, 'rounds' | 'seconds'>,
): Promise<Rounds> {
  const groups = targets.map((each) => ('load' in each ? [each] : each))
  const found = new Map<string, Round[]>(groups.flat().map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round++) {
    for (const each of shuffled(groups).flatMap(shuffled)) {
      const result = await measureRound(each, seconds)
      if (round > 0) found.get(each.name)?.push(result)
      progress(`round ${round} of ${rounds}: ${each.name}, ${Math.round(result.rps)} requests/s`)
    }
  }
  progress('')
  return found
}

async function measureRound({ name, pid, prepare, load }: Target, seconds: number): Promise<Round> {
  await prepare?.()
  const before = cpuSeconds(pid)
  const result = await load(seconds).catch((error) => {
    throw new Error(`${name}: ${error.message}`, { cause: error })
  })
  const cpu = cpuSeconds(pid) - before
  return {
    rps: result.requests / result.seconds,
    cpuMicroseconds: (cpu / result.requests) * 1e6,
    p50: result.p50,
    p99: result.p99,
  }
}

/** The rounds of a target. @throws an Error if it wasn't measured */
export function roundsOf(rounds: Rounds, name: string): readonly Round[] {
  const found = rounds.get(name)
  if (found === undefined) throw new Error(`${name} was not measured`)
  return found
}

/** One field of a target's rounds, by its median and spread. */
export function summary(rounds: readonly Round[], field: keyof Round): Measured {
  return measured(rounds.map((round) => round[field]))
}

/** How one target compares with another: the ratio of each round, by its median and spread. */
export function ratios(one: readonly Round[], other: readonly Round[], field: keyof Round): Measured {
  return measured(one.map((round, n) => round[field] / (other[n] as Round)[field]))
}

/** Says on a terminal what goes on, in one line that is written over. */
export function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}
