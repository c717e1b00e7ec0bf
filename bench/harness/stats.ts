import type { Measured } from './types.ts'

/** The middle of what was measured, with its spread. @throws an Error if nothing was */
export function measured(values: readonly number[]): Measured {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = (sorted.length - 1) / 2
  const [lowest, highest] = [sorted[0], sorted.at(-1)]
  const [below, above] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]]
  if (lowest === undefined || highest === undefined || below === undefined || above === undefined) {
    throw new Error('nothing was measured')
  }
  return { median: (below + above) / 2, lowest, highest }
}

/** What stands at that place of the sorted values, from 0 to 100, such as 99 for the p99. */
export function percentile(values: readonly number[], rank: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  const found = sorted[Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1)]
  if (found === undefined) throw new Error('nothing was measured')
  return found
}

/** The list in a random order (Fisher and Yates). */
export function shuffled<Item>(items: readonly Item[]): Item[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    const moved = result[last] as Item
    result[last] = result[other] as Item
    result[other] = moved
  }
  return result
}

/**
 * A sequence of indices in which the first comes most often: the n-th with a weight of 1 / n (Zipf's law, s = 1).
 *
 * @param items how many there are
 * @param length of the sequence
 */
export function zipf(items: number, length: number): Uint32Array {
  const upTo = new Float64Array(items)
  let sum = 0
  for (let n = 0; n < items; n++) {
    sum += 1 / (n + 1)
    upTo[n] = sum
  }
  return Uint32Array.from({ length }, () => {
    const at = Math.random() * sum
    let [low, high] = [0, items - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((upTo[middle] as number) < at) low = middle + 1
      else high = middle
    }
    return low
  })
}
