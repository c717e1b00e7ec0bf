import { z } from 'zod'
import type { Database } from '../database/open.ts'
import { Problem } from '../problem.ts'
import type { Keyring } from '../tokens/keyring.ts'
import type { Revocations } from '../tokens/revocations.ts'
import type { Scope } from './validation.ts'

/** Milliseconds for which an answer of the database is good: a flood of probes is no flood of queries. */
const PROBE_TTL = 500

const Alive = z.object({ status: z.literal('alive') }).meta({ id: 'Alive' })
const Ready = z
  .object({
    status: z.literal('ready'),
    checks: z.object({ database: z.literal('up') }),
    keys: z
      .object({
        signing: z.string().meta({ example: 'ocdvw0yLVsZ6IVQX' }),
        verifying: z.array(z.string()).meta({ example: ['ocdvw0yLVsZ6IVQX'] }),
      })
      .meta({ description: 'The `kid` of the secret that signs, and of all that verify.' }),
    revocations: z
      .object({
        live: z.int().nonnegative().meta({ description: 'How many are remembered.', example: 12 }),
        age: z.number().meta({
          description: 'All that was revoked up to so many seconds ago is known here.',
          example: 0.1,
        }),
      })
      .meta({ description: 'What this node knows of revocations.' }),
  })
  .meta({ id: 'Ready' })

export interface ReadinessParts {
  readonly database: Pick<Database, 'ping'>
  readonly revocations: Pick<Revocations, 'age'>
  /** Seconds after which the guard refuses, not having heard of revocations; undefined is never. */
  readonly maxStaleness: number | undefined
  /** Whether the process is on its way out. */
  readonly isDraining: () => boolean
}

/**
 * Whether tokens can be issued.
 *
 * @throws Problem database_unavailable, revocations_stale, shutting_down
 */
export type RequireReady = () => Promise<void>

/** The rule of readiness. */
export function createReadiness({
  database,
  revocations,
  maxStaleness,
  isDraining,
}: ReadinessParts): RequireReady {
  let probe: { readonly at: number; readonly answer: Promise<void> } | undefined

  function ping(): Promise<void> {
    const now = performance.now()
    if (probe === undefined || now - probe.at > PROBE_TTL) probe = { at: now, answer: database.ping() }
    return probe.answer
  }

  async function requireDatabase(): Promise<void> {
    try {
      await ping()
    } catch (cause) {
      const age = Math.round(revocations.age())
      const detail = `The database does not answer; what is known of revocations is ${age} s old.`
      throw new Problem('database_unavailable', { detail, cause })
    }
  }

  return async () => {
    if (isDraining()) throw new Problem('shutting_down')
    await requireDatabase()
    if (maxStaleness !== undefined && revocations.age() > maxStaleness) throw new Problem('revocations_stale')
  }
}

export interface HealthParts {
  readonly requireReady: RequireReady
  readonly keyring: Pick<Keyring, 'kids'>
  readonly revocations: Pick<Revocations, 'size' | 'age'>
}

/** GET /livez and /readyz, as Kubernetes and load balancers ask for them. */
export async function healthRoutes(
  scope: Scope,
  { requireReady, keyring, revocations }: HealthParts,
): Promise<void> {
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
        summary: 'Whether tokens can be issued, and what this node knows',
        tags: ['health'],
        response: { 200: Ready },
        success: 'They can.',
        problems: ['database_unavailable', 'revocations_stale', 'shutting_down'],
      },
    },
    async () => {
      await requireReady()
      const [age, kids] = [revocations.age(), keyring.kids]
      return {
        status: 'ready' as const,
        checks: { database: 'up' as const },
        keys: { signing: kids[0] as string, verifying: [...kids] },
        revocations: { live: revocations.size, age: Math.round(age * 1_000) / 1_000 },
      }
    },
  )
}
