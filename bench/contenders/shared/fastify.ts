import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { type Claims, claimsSchema } from './claims.ts'
import { announce, type HeaderSet } from './ready.ts'
import { settings } from './settings.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What a contender's guard leaves on the request. */
    claims: Claims
  }
}

/** An onRequest hook, with a promise or by calling done. It sets request.claims, or refuses with unauthorized(). */
export type Guard = (
  request: FastifyRequest,
  reply: FastifyReply,
  done: HookHandlerDoneFunction,
) => Promise<void> | void

/** The schema that fast-json-stringify prepares the reply's serializer from. */
export const replySchema = { response: { 200: claimsSchema } } as const

/** Adds GET /me, which answers with the claims that the guard found. */
export function guardMe(app: FastifyInstance, guard: Guard): void {
  if (!app.hasRequestDecorator('claims')) app.decorateRequest('claims')
  app.get('/me', { schema: replySchema, onRequest: guard }, (request, reply) => {
    reply.send(request.claims)
  })
}

/** What a guard throws at a request that it does not let in. */
export function unauthorized(): Error {
  return Object.assign(new Error('Unauthorized'), { statusCode: 401 })
}

/** Listens, and says so. @param headers each is let in */
export async function serve(app: FastifyInstance, headers: readonly HeaderSet[]): Promise<void> {
  await app.listen({ host: '127.0.0.1', port: settings.port })
  announce(headers)
}
