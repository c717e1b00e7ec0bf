import { setImmediate } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'

const INTERVAL = 60_000

/**
 * Deletes a bounded batch of what is needed no more.
 *
 * @param now milliseconds since 1970
 * @returns how many; a full batch means: again
 */
export type Sweep = (now: number) => Promise<{ readonly deleted: number; readonly full: boolean }>

/**
 * Deletes what is needed no more once a minute, and lets others do their work between two batches. A sweep that fails is
 * logged, and the next one finds what it left.
 *
 * @param sweeps by the name of what they delete
 * @param clock milliseconds since 1970
 * @returns a function that stops it, and waits for the batch that is under way
 */
export function sweepRegularly(
  sweeps: Readonly<Record<string, Sweep>>,
  clock: () => number,
  log: FastifyBaseLogger,
  interval = INTERVAL,
): () => Promise<void> {
  let current = Promise.resolve()
  let stopped = false

  async function sweepAll(): Promise<void> {
    for (const [name, sweep] of Object.entries(sweeps)) {
      try {
        let deleted = 0
        for (let full = true; full && !stopped; ) {
          const batch = await sweep(clock())
          deleted += batch.deleted
          full = batch.full
          // SQLite answers without ever leaving the event loop.
          await setImmediate()
        }
        log.debug({ deleted }, `swept ${name}`)
      } catch (err) {
        log.warn({ err }, `could not sweep ${name}`)
      }
    }
  }

  const timer = setInterval(() => {
    current = current.then(sweepAll)
  }, interval)
  timer.unref()

  return () => {
    stopped = true
    clearInterval(timer)
    return current
  }
}
