import { Histogram, type Registry } from '@prometheus-io/client'
import type { StreamCount } from '../revocations/routes.ts'
import type { GuardOutcomes } from '../tokens/guard.ts'
import type { Revocation, Revocations } from '../tokens/revocations.ts'
import type { TokenMemory } from '../tokens/token-memory.ts'
import { counter, gauge } from './define.ts'

/** Seconds. */
const LAG_BUCKETS = [0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export interface GuardMetricsParts {
  readonly outcomes: GuardOutcomes
  readonly memory: Pick<TokenMemory, 'size' | 'hits' | 'misses'>
  readonly revocations: Pick<Revocations, 'size' | 'age'>
  readonly streams: StreamCount
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/**
 * What the guard decides, and what it knows.
 *
 * @returns what is to be told of revocations as they are heard of
 */
export function guardMetrics(
  registry: Registry,
  { outcomes, memory, revocations, streams, clock }: GuardMetricsParts,
): (heard: readonly Revocation[]) => void {
  counter(
    registry,
    {
      name: 'latchkey_guard_outcomes_total',
      help: 'Requests at the guard by outcome: ok, or the problem it refused with.',
      labelNames: ['outcome'],
    },
    function* () {
      yield [outcomes.letIn, { outcome: 'ok' }]
      for (const [outcome, count] of outcomes.refused) yield [count, { outcome }]
    },
  )
  counter(
    registry,
    {
      name: 'latchkey_token_memory_lookups_total',
      help: 'Tokens looked up in memory: hit where the token had been verified before, else miss.',
      labelNames: ['result'],
    },
    () => [
      [memory.hits, { result: 'hit' }],
      [memory.misses, { result: 'miss' }],
    ],
  )
  gauge(
    registry,
    { name: 'latchkey_token_memory_tokens', help: 'Verified tokens in memory.', aggregator: 'sum' },
    () => [[memory.size]],
  )
  gauge(
    registry,
    {
      name: 'latchkey_revocations_live',
      help: 'Revocations in memory. Every worker has the same.',
      aggregator: 'max',
    },
    () => [[revocations.size]],
  )
  gauge(
    registry,
    {
      name: 'latchkey_revocations_age_seconds',
      help: 'Everything that was revoked so many seconds ago is known. Of several workers, that of the last.',
      aggregator: 'max',
    },
    // Where nothing is known yet, no longer than the process is old: Infinity is no number for everybody who reads it.
    () => [[Math.min(revocations.age(), performance.now() / 1_000)]],
  )
  gauge(
    registry,
    {
      name: 'latchkey_revocation_streams',
      help: 'Open streams of the revocation feed.',
      aggregator: 'sum',
    },
    () => [[streams.open]],
  )
  const lag = new Histogram({
    name: 'latchkey_revocation_lag_seconds',
    help: 'Time from when something was revoked, on any node, to when it was heard of here.',
    buckets: LAG_BUCKETS,
    registers: [registry],
  })
  // Two nodes' clocks may differ.
  return (heard) => {
    for (const { revokedAt } of heard) lag.observe(Math.max(0, clock() - revokedAt) / 1_000)
  }
}
