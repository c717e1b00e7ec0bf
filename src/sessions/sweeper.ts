import type { FastifyBaseLogger } from 'fastify'
import type { Sessions } from './sessions.ts'

const INTERVAL = 60_000

/**
 * Deletes expired sessions once a minute. A sweep that fails is logged, and the next one finds what it left.
 *
 * @returns a function that stops it, and waits for the batch that is under way
 */
export function sweepRegularly(
  sessions: Pick<Sessions, 'sweep'>,
  log: FastifyBaseLogger,
  interval = INTERVAL,
): () => Promise<void> {
  let current = Promise.resolve()
  let stopped = false
  const timer = setInterval(() => {
    current = sessions
      .sweep(() => stopped)
      .then(
        (deleted) => log.debug({ deleted }, 'swept expired sessions'),
        (err) => log.warn({ err }, 'could not sweep expired sessions'),
      )
  }, interval)
  timer.unref()

  return () => {
    stopped = true
    clearInterval(timer)
    return current
  }
}
