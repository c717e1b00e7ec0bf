import type { FastifyInstance } from 'fastify'

// Seconds for which a browser need not ask again: the most that Chromium keeps it.
const PREFLIGHT_LIFE = 7_200

const preflight = {
  'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
  'access-control-allow-headers': 'Authorization, Content-Type, Latchkey-Transport, X-Request-Id',
  'access-control-max-age': PREFLIGHT_LIFE,
}

// What a page may read besides the body: when to try again, why it was refused, and whose clock is off.
const EXPOSED = 'Date, Location, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id'

/**
 * Lets pages of these origins call the service (https://fetch.spec.whatwg.org/#http-cors-protocol). Everybody else's
 * get no leave, and where there are no origins nothing is added at all. It comes before whatever may refuse a request: a
 * page could not read why. Browsers may send credentials, for the one cookie there is: sessions/cookie.ts asks for more.
 *
 * @param origins exact, as browsers send them
 */
export function allowOrigins(app: FastifyInstance, origins: readonly string[]): void {
  if (origins.length === 0) return
  const allowed = new Set<unknown>(origins)

  app.addHook('onRequest', (request, reply, done) => {
    const { method, headers } = request.raw
    // What has no Origin is for no page, and as nothing is kept by caches, none gets it from there.
    if (headers.origin === undefined) return done()
    reply.header('vary', 'Origin')
    if (!allowed.has(headers.origin)) return done()
    reply.header('access-control-allow-origin', headers.origin)
    reply.header('access-control-allow-credentials', 'true')
    // A preflight carries no token, so it is answered before the guard; there is no route for it.
    if (method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
      reply.code(204).headers(preflight).send()
      return
    }
    reply.header('access-control-expose-headers', EXPOSED)
    done()
  })
}
