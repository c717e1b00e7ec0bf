/**
 * A bare Fastify route, with a response schema and nothing else: what Latchkey's GET /me would cost without a guard, and
 * without whatever its app adds to every reply. Unguarded; the headers are those of the JWT contenders.
 */

import Fastify from 'fastify'
import { newClaims } from './shared/claims.ts'
import { replySchema, serve } from './shared/fastify.ts'
import { tokenHeaders } from './shared/tokens.ts'

const claims = newClaims()

const app = Fastify()
app.get('/me', { schema: replySchema }, (_request, reply) => {
  reply.send(claims)
})
await serve(app, tokenHeaders())
