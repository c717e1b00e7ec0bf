import type { FastifyRequest, HookHandlerDoneFunction, onRequestHookHandler } from 'fastify'
import { Problem } from '../problem.ts'
import type { Claims } from './claims.ts'
import type { Role } from './roles.ts'
import type { Verify } from './verifier.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    /** What the guard leaves on the request. */
    user: Claims
  }
}

// RFC 9110 section 11.4: a scheme in any case, one or more spaces, and credentials without a space or a comma.
// A field that was sent twice is joined by a comma (http.Server's joinDuplicateHeaders), and so doesn't match. The
// spaces are few, for a token that is remembered keeps the header it was cut from.
const AUTHORIZATION = /^([!#$%&'*+.^_`|~\w-]+)(?: {1,16}([^\s,]+))?$/

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

/**
 * The hook that lets requests in by their access token, taken from `Authorization: Bearer` and nowhere else
 * (RFC 6750 section 2.1). It sets request.user to the verified, frozen claims. Add it to a scope, so that every route
 * of the scope is guarded. It is synchronous, and neither it nor what it imports knows a database.
 *
 * @throws Problem token_missing, token_invalid, token_expired, token_revoked; invalid_request for a malformed or
 *   repeated Authorization header
 */
export function createGuard(verify: Verify): onRequestHookHandler {
  return (request, _reply, done) => {
    attempt(done, () => {
      request.user = verify(bearerToken(request))
    })
  }
}

/**
 * The hook that lets in whose token names an account and a session by ids as this service gives them. It stands behind
 * the guard, before whatever looks them up: a token that another holder of the secret made may say something else.
 *
 * @throws Problem token_invalid
 */
export const requireOwnIds: onRequestHookHandler = (request, _reply, done) => {
  attempt(done, () => {
    if (!UUID.test(request.user.sub) || !UUID.test(request.user.sid)) {
      throw new Problem('token_invalid', {
        detail: 'The access token is not valid: it is not for an account here.',
      })
    }
  })
}

/** The hook that lets in who has the role. It stands behind the guard. @throws Problem insufficient_role */
export function requireRole(role: Role): onRequestHookHandler {
  return (request, _reply, done) => {
    attempt(done, () => {
      if (!request.user.roles.includes(role)) {
        throw new Problem('insufficient_role', { detail: `This needs the role ${role}.`, scope: role })
      }
    })
  }
}

/** The hook that lets in who has the scope. It stands behind the guard. @throws Problem insufficient_scope */
export function requireScope(scope: string): onRequestHookHandler {
  return (request, _reply, done) => {
    attempt(done, () => {
      if (!request.user.scope.split(' ').includes(scope)) {
        throw new Problem('insufficient_scope', { detail: `This needs the scope ${scope}.`, scope })
      }
    })
  }
}

// A hook with a callback costs no promise; what it throws has to be handed on.
function attempt(done: HookHandlerDoneFunction, check: () => void): void {
  try {
    check()
  } catch (error) {
    done(error as Error)
    return
  }
  done()
}

function bearerToken(request: FastifyRequest): string {
  const header = request.headers.authorization
  if (header === undefined) throw new Problem('token_missing')
  const match = AUTHORIZATION.exec(header)
  if (match === null) throw malformed()
  const [, scheme, credentials] = match as unknown as [string, string, string | undefined]
  if (scheme.toLowerCase() !== 'bearer') throw new Problem('token_missing')
  if (credentials === undefined) throw malformed()
  return credentials
}

function malformed(): Problem {
  return new Problem('invalid_request', {
    detail: 'The Authorization header must stand once, as: Bearer, a space, the token.',
    challenge: 'invalid_request',
  })
}
