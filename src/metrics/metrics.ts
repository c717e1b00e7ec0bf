import { Histogram, Registry } from '@prometheus-io/client'
import type { Statement } from '../database/open.ts'
import type { Hashing } from '../passwords/passwords.ts'
import { Problem } from '../problem.ts'
import { counter } from './define.ts'
import { share } from './exposition.ts'
import { followSupervisor, type Supervisor } from './workers.ts'

/** Seconds. */
const STATEMENT_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5]
const HASHING_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** The metrics of one process. Those of its parts are added as the parts are made. */
export interface Metrics {
  readonly registry: Registry
  /** What GET /metrics answers. */
  text(): Promise<string>
  /** Told of each statement when it has ended. */
  onStatement(statement: Pick<Statement, 'duration' | 'error'>): void
  /** Told of each hash when it has ended. */
  onHashing(hashing: Hashing): void
}

/**
 * Metrics that nobody shares. Nothing is put under a label but words of this program: no address, no id, nothing that a
 * client sent.
 *
 * @param supervisor where this is one of several workers: then the text is that of all of them
 */
export function createMetrics(supervisor?: Supervisor): Metrics {
  const registry = new Registry()
  const gather = supervisor && followSupervisor(supervisor, registry)
  const failures = { unavailable: 0, other: 0 }

  const statements = new Histogram({
    name: 'latchkey_database_statement_seconds',
    help: 'Time that statements took in the database, and waiting for it to answer.',
    buckets: STATEMENT_BUCKETS,
    registers: [registry],
  })
  counter(
    registry,
    {
      name: 'latchkey_database_statement_failures_total',
      help: 'Statements that failed: unavailable where the database did not answer or not in time, else other.',
      labelNames: ['reason'],
    },
    () => [
      [failures.unavailable, { reason: 'unavailable' }],
      [failures.other, { reason: 'other' }],
    ],
  )
  const waits = new Histogram({
    name: 'latchkey_argon2_wait_seconds',
    help: 'Time that hashes waited for their turn.',
    buckets: HASHING_BUCKETS,
    registers: [registry],
  })
  const hashes = new Histogram({
    name: 'latchkey_argon2_seconds',
    help: 'Time that hashes took once it was their turn.',
    buckets: HASHING_BUCKETS,
    registers: [registry],
  })

  return {
    registry,
    text: share(gather ?? (() => registry.metrics())),
    onStatement({ duration, error }) {
      statements.observe(duration / 1_000)
      if (error === undefined) return
      if (error instanceof Problem) failures.unavailable++
      else failures.other++
    },
    onHashing({ waited, worked }) {
      waits.observe(waited / 1_000)
      hashes.observe(worked / 1_000)
    },
  }
}
