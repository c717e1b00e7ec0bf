/** What came of doing one thing again and again. */
export interface Done {
  readonly count: number
  /** How long it took until the last one was done. */
  readonly seconds: number
  /** Milliseconds that one took: half of them as long or shorter, and 99 of a hundred. */
  readonly p50: number
  readonly p99: number
}

/**
 * Several workers do something again and again, each the next one once the last is done. What was begun in time is
 * finished and counted, and the clock runs until then.
 *
 * @param once does it once; it is given which worker does it
 */
export async function repeat(
  { workers, seconds }: { readonly workers: number; readonly seconds: number },
  once: (worker: number) => Promise<unknown>,
): Promise<Done> {
  const took: number[] = []
  const startedAt = performance.now()
  const until = startedAt + seconds * 1_000
  await Promise.all(
    Array.from({ length: workers }, async (_, worker) => {
      for (let begunAt = performance.now(); begunAt < until; begunAt = performance.now()) {
        await once(worker)
        took.push(performance.now() - begunAt)
      }
    }),
  )
  return { count: took.length, seconds: (performance.now() - startedAt) / 1_000, ...percentiles(took) }
}

export function percentiles(values: readonly number[]): { readonly p50: number; readonly p99: number } {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99) }
}
