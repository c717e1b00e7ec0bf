import { type Round, summary } from '../../harness/rounds.ts'
import type { Row, RunOptions, SuiteResult } from '../../harness/types.ts'

/** A part of a suite. */
export type Part = Pick<SuiteResult, 'rows' | 'ratios' | 'notes'>

/** The goal for what should be flat. */
export const FLAT = { atMost: 1.15 } as const

/** Sizes up to the largest that is asked for; that one alone where all are larger. */
export function sizesUpTo<Size extends number>(
  sizes: readonly Size[],
  { largest }: Pick<RunOptions, 'largest'>,
): readonly number[] {
  const fitting = sizes.filter((size) => size <= largest)
  return fitting.length > 0 ? fitting : [largest]
}

/** A number as tables have it: 1e6 rather than 1000000. */
export function short(size: number): string {
  const [digits, exponent] = size.toExponential().split('e+')
  return size < 1_000 ? String(size) : `${digits}e${exponent}`
}

export function rowOf(name: string, of: string, rounds: readonly Round[]): Row {
  return {
    name,
    values: {
      of,
      'CPU µs each': summary(rounds, 'cpuMicroseconds'),
      'per second': summary(rounds, 'rps'),
      'p50 ms': summary(rounds, 'p50'),
    },
  }
}
