import { z } from 'zod'
import type { Scope } from '../http/validation.ts'
import { EXPOSITION_TYPE } from './exposition.ts'
import type { Metrics } from './metrics.ts'

/** GET /metrics, where it has no port of its own. */
export async function metricsRoutes(scope: Scope, { text }: Pick<Metrics, 'text'>): Promise<void> {
  scope.get(
    '/metrics',
    {
      schema: {
        operationId: 'getMetrics',
        summary: 'What there is to count and to measure, for Prometheus',
        description: 'Where METRICS_PORT is set it is there, and not here.',
        tags: ['health'],
        response: { 200: z.string().meta({ example: 'latchkey_ready 1\n' }) },
        mediaType: EXPOSITION_TYPE,
        success: "The metrics, in Prometheus's text format.",
        problems: ['overloaded'],
      },
    },
    async (_request, reply) => reply.type(EXPOSITION_TYPE).send(await text()),
  )
}
