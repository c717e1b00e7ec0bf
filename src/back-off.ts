const FIRST = 100
const LONGEST = 5_000

/**
 * How long to wait before trying again: doubling from 100 ms to 5 s, and of that a random part between half and all, so
 * that many who lost the same thing don't come back at once.
 *
 * @param failures how many attempts have failed before
 * @returns milliseconds
 */
export function backOff(failures: number): number {
  return Math.min(LONGEST, FIRST * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2)
}
