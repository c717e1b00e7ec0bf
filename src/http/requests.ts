import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, onRequestHookHandler } from 'fastify'
import { requestIdFrom } from '../request-id.ts'

/** The id of a request: the client's own X-Request-Id if it is well-formed, else a new one. */
export function requestId(request: IncomingMessage): string {
  return requestIdFrom(request.headers['x-request-id'])
}

/** What every answer carries: it is nobody's to keep. */
export const replyHeaders = { 'cache-control': 'no-store' } as const

/**
 * What an answer carries besides that anybody can open, frame or embed: it is nothing but what its type says, and no
 * page (OWASP's cheat sheets on REST security and HTTP headers). A route whose answer is a page replaces it.
 */
export const noPage = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
} as const

/**
 * Gives every answer its headers, and its request's id. What stands behind the guard comes to no page but by a script
 * that has the token: there noPage would do nothing, and cost a tenth of the throughput. What the guard refuses carries
 * it, as all problems do. It sees every route that is registered after it.
 */
export function markReplies(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    reply.header('cache-control', replyHeaders['cache-control'])
    done()
  })
  app.addHook('onRoute', (route) => {
    if (route.schema?.guarded) return
    const mark: onRequestHookHandler = (_request, reply, done) => {
      reply.headers(noPage)
      done()
    }
    route.onRequest = [mark, ...[route.onRequest ?? []].flat()]
  })
}

/** A line per request: the route and never the URL, whose query may hold what should not be kept. */
export function logRequests(app: FastifyInstance): void {
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions, log } = request
    log.info(
      { method, route: routeOptions.url, status: reply.statusCode, duration_ms: reply.elapsedTime },
      'request',
    )
    done()
  })
}
