import { z } from 'zod'
import type { Database } from '../database/open.ts'
import { Problem } from '../problem.ts'
import type { Scope } from './validation.ts'

/** Milliseconds for which an answer of the database is good: a flood of probes is no flood of queries. */
const PROBE_TTL = 500

const Alive = z.object({ status: z.literal('alive') }).meta({ id: 'Alive' })
const Ready = z
  .object({ status: z.literal('ready'), checks: z.object({ database: z.literal('up') }) })
  .meta({ id: 'Ready' })

export interface HealthParts {
  readonly database: Pick<Database, 'ping'>
  /** Whether the process is on its way out. */
  readonly isDraining: () => boolean
}

/** GET /livez and /readyz, as Kubernetes and load balancers ask for them. */
export async function healthRoutes(scope: Scope, { database, isDraining }: HealthParts): Promise<void> {
  let probe: { readonly at: number; readonly answer: Promise<void> } | undefined

  function ping(): Promise<void> {
    const now = performance.now()
    if (probe === undefined || now - probe.at > PROBE_TTL) probe = { at: now, answer: database.ping() }
    return probe.answer
  }

  scope.get(
    '/livez',
    {
      schema: {
        operationId: 'isAlive',
        summary: 'Whether the process serves',
        tags: ['health'],
        response: { 200: Alive },
        success: 'It does.',
      },
    },
    () => ({ status: 'alive' as const }),
  )

  scope.get(
    '/readyz',
    {
      schema: {
        operationId: 'isReady',
        summary: 'Whether tokens can be issued',
        tags: ['health'],
        response: { 200: Ready },
        success: 'They can.',
        problems: ['database_unavailable', 'shutting_down'],
      },
    },
    async () => {
      if (isDraining()) throw new Problem('shutting_down')
      await ping()
      return { status: 'ready' as const, checks: { database: 'up' as const } }
    },
  )
}
