import type { FastifyInstance } from 'fastify'
import { Problem } from '../problem.ts'

/**
 * Warns, once, where the service seems to stand behind a proxy that it doesn't know of: all who come through one then
 * share one address, and what one of them fails at is counted for all.
 */
export function warnOfProxy(app: FastifyInstance): void {
  let isWarned = false
  app.addHook('onError', (request, _reply, error, done) => {
    const { 'x-forwarded-for': forwardedFor, forwarded = forwardedFor } = request.headers
    const isThrottled = error instanceof Problem && error.code === 'too_many_attempts'
    if (isThrottled && forwarded !== undefined && !isWarned) {
      isWarned = true
      request.log.warn(
        'A request that names another address was refused for too many attempts, and TRUST_PROXY is off: if a proxy ' +
          'stands in front, all who come through it share its address. Set TRUST_PROXY to the addresses of the proxy.',
      )
    }
    done()
  })
}
