import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import files from '@fastify/static'
import Fastify, { type FastifyInstance } from 'fastify'
import { latchkey, type VerifierOptions } from 'latchkey/fastify'
import type { Revenue } from './revenue.ts'

export interface AppParts {
  readonly revenue: Revenue
  /** By what access tokens are verified. */
  readonly verifier: VerifierOptions
  /** Where the page calls Latchkey. */
  readonly latchkeyUrl: string
  /** The folder of the built page. */
  readonly page: string
}

/** The server of the application: the page, and what it shows to whom. */
export async function createApp({
  revenue,
  verifier,
  latchkeyUrl,
  page,
}: AppParts): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'warn' } })
  await app.register(latchkey, verifier)
  app.addHook('onClose', () => revenue.close())

  // Everybody with a role sees the totals ...
  app.register(async (totals) => {
    totals.addHook('onRequest', app.latchkey.guard({ scope: 'revenue:read' }))
    totals.get<{ Querystring: { weeks: number } }>(
      '/api/revenue',
      { schema: { querystring: weeksSchema } },
      ({ query }) => revenue.totals(query.weeks),
    )
  })

  // ... and analysts the deals.
  app.register(async (deals) => {
    deals.addHook('onRequest', app.latchkey.guard({ scope: 'deals:read' }))
    deals.get('/api/deals', () => ({ deals: revenue.deals() }))
  })

  // The page may load what is its own, and talk to this server and to Latchkey.
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    'img-src data:',
    `connect-src 'self' ${latchkeyUrl}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  app.addHook('onSend', async (_request, reply) => {
    reply.header('content-security-policy', policy)
    reply.header('x-content-type-options', 'nosniff')
    reply.header('referrer-policy', 'no-referrer')
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  })
  app.get('/', async (_request, reply) => {
    const html = await readFile(join(page, 'index.html'), 'utf8')
    return reply.type('text/html; charset=utf-8').send(html.replace('%LATCHKEY_URL%', latchkeyUrl))
  })
  // Their names change with their content.
  app.register(files, { root: join(page, 'assets'), prefix: '/assets/', immutable: true, maxAge: '1y' })
  return app
}

const weeksSchema = {
  type: 'object',
  required: ['weeks'],
  properties: { weeks: { type: 'integer', enum: [12, 26] } },
}
