import { setTimeout } from 'node:timers/promises'
import type { Registry } from '@prometheus-io/client'
import type { PoolUse } from '../database/postgres.ts'
import type { HashingLoad } from '../passwords/passwords.ts'
import type { Throttle } from '../throttling/throttle.ts'
import { counter, gauge } from './define.ts'

/** Milliseconds that a scrape waits to hear whether the service is ready; after that it tells what it knew last. */
const PATIENCE = 250

export interface ServiceMetricsParts {
  readonly version: string
  /** @throws where the service can't issue tokens */
  readonly requireReady: () => Promise<void>
  readonly throttle: Pick<Throttle, 'refusals'>
  /** What the hashes are at. */
  readonly hashing: HashingLoad
  /** What the connections to the database are at; undefined where there is no pool of them. */
  readonly poolUse: (() => PoolUse) | undefined
}

/** Whether the service is ready, and what it has to do. */
export function serviceMetrics(registry: Registry, parts: ServiceMetricsParts): void {
  const { version, requireReady, throttle, hashing, poolUse } = parts
  // An app that doesn't start serves no scrape.
  let lastKnown = 1
  async function readiness(): Promise<number> {
    const answer = requireReady().then(
      () => 1,
      () => 0,
    )
    void answer.then((ready) => {
      lastKnown = ready
    })
    return Promise.race([answer, setTimeout(PATIENCE, undefined, { ref: false }).then(() => lastKnown)])
  }

  gauge(
    registry,
    {
      name: 'latchkey_build_info',
      help: 'Always 1; the version is in its label.',
      labelNames: ['version'],
      aggregator: 'max',
    },
    () => [[1, { version }]],
  )
  gauge(
    registry,
    {
      name: 'latchkey_ready',
      help: 'Whether tokens can be issued, as /readyz says: 1 or 0. Of several workers, the worst.',
      aggregator: 'min',
    },
    async () => [[await readiness()]],
  )
  counter(
    registry,
    {
      name: 'latchkey_throttled_total',
      help: 'Attempts refused with too_many_attempts, by what was counted.',
      labelNames: ['scope'],
    },
    () => Object.entries(throttle.refusals).map(([scope, count]) => [count, { scope }] as const),
  )
  argon2Metrics(registry, hashing)
  if (poolUse !== undefined) poolMetrics(registry, poolUse)
}

function argon2Metrics(registry: Registry, load: HashingLoad): void {
  const define = (name: string, help: string, read: () => number) =>
    gauge(registry, { name, help, aggregator: 'sum' }, () => [[read()]])
  define('latchkey_argon2_running', 'Hashes that are being made or checked.', () => load.running)
  define('latchkey_argon2_concurrency', 'Hashes that run at the same time at most.', () => load.concurrency)
  define('latchkey_argon2_waiting', 'Hashes that wait for their turn.', () => load.waiting)
  counter(
    registry,
    {
      name: 'latchkey_argon2_refused_total',
      help: 'Logins, sign-ups and the like that were refused because their hashes would have waited for too long.',
    },
    () => [[load.refused]],
  )
}

function poolMetrics(registry: Registry, use: () => PoolUse): void {
  const define = (name: string, help: string, read: (use: PoolUse) => number) =>
    gauge(registry, { name, help, aggregator: 'sum' }, () => [[read(use())]])
  define('latchkey_database_pool_size', 'Connections to PostgreSQL at most.', ({ size }) => size)
  define('latchkey_database_pool_open', 'Connections to PostgreSQL.', ({ total }) => total)
  define('latchkey_database_pool_idle', 'Connections to PostgreSQL that nobody uses.', ({ idle }) => idle)
  define(
    'latchkey_database_pool_waiting',
    'Who waits for a connection to PostgreSQL.',
    ({ waiting }) => waiting,
  )
  counter(
    registry,
    {
      name: 'latchkey_database_pool_failures_total',
      help: 'How often no connection to PostgreSQL could be had, not in time or not at all.',
    },
    () => [[use().failures]],
  )
}
