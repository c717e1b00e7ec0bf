import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { requestIdFrom } from '../request-id.ts'

/** The id of a request: the client's own X-Request-Id if it is well-formed, else a new one. */
export function requestId(request: IncomingMessage): string {
  return requestIdFrom(request.headers['x-request-id'])
}

/** What every answer carries: its request's id, and that it is nobody's to keep. */
export function markReplies(app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    reply.header('cache-control', 'no-store')
    done()
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
