import type { IncomingMessage, ServerResponse } from 'node:http'
import { requestIdFrom } from '../request-id.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Verify } from '../tokens/verifier.ts'
import { admit, type Needs, refusalOf } from './admission.ts'
import { authorizationOf } from './authorization.ts'

export type { Claims, Needs }

declare global {
  // Where @types/express and @types/passport look for it.
  namespace Express {
    interface User extends Claims {}
    interface Request {
      /** What the guard leaves on the request. */
      user?: User | undefined
    }
  }
}

/** A middleware for Express, Connect and whatever else takes (request, response, next). */
export type Middleware = (
  request: IncomingMessage & { user?: Claims | undefined },
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * The middleware that lets requests in by their access token, and sets `req.user` to its frozen claims. The others it
 * answers itself, as Latchkey's own API does: 401 and 403, 400 for a malformed header, 503 where the revocations are stale.
 *
 * @param verify as createVerifier() of `latchkey/verifier` makes it
 * @param needs the role and the scope that the token has to have, if any
 */
export function guard(verify: Verify, needs: Needs = {}): Middleware {
  return (request, response, next) => {
    try {
      request.user = admit(verify, needs, authorizationOf(request))
    } catch (error) {
      const { status, headers, body } = refusalOf(error, requestIdFrom(request.headers['x-request-id']))
      response.statusCode = status
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      response.end(body)
      return
    }
    next()
  }
}
