import type { FastifyRequest, HookHandlerDoneFunction, onRequestHookHandler } from 'fastify'
import { Problem, type ProblemCode } from '../problem.ts'
import { bearerToken, checkRole, checkScope } from './bearer.ts'
import type { Claims } from './claims.ts'
import type { Verify } from './verifier.ts'

declare module '@fastify/jwt' {
  interface FastifyJWT {
    /** What the guard leaves on the request. */
    user: Claims
  }
}

/** What a guard has decided, counted. */
export interface GuardOutcomes {
  letIn: number
  readonly refused: Map<ProblemCode, number>
}

const refusals = [
  'invalid_request',
  'token_missing',
  'token_invalid',
  'token_expired',
  'token_revoked',
  'token_stale',
  'revocations_stale',
] as const

/** @returns counts that begin at zero, of all that a guard may decide */
export function newGuardOutcomes(): GuardOutcomes {
  return { letIn: 0, refused: new Map(refusals.map((code) => [code, 0])) }
}

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/

/**
 * The hook that lets requests in by their access token, taken from `Authorization: Bearer` and nowhere else
 * (RFC 6750 section 2.1). It sets request.user to the verified, frozen claims. Add it to a scope, so that every route
 * of the scope is guarded. It is synchronous, and neither it nor what it imports knows a database.
 *
 * @param outcomes where what it decides is counted
 * @throws Problem token_missing, token_invalid, token_expired, token_revoked, token_stale, revocations_stale;
 *   invalid_request for a malformed or repeated Authorization header
 */
export function createGuard(verify: Verify, outcomes = newGuardOutcomes()): onRequestHookHandler {
  const { refused } = outcomes
  return hook((request) => {
    try {
      request.user = verify(bearerToken(request.headers.authorization))
    } catch (error) {
      const { code } = error as Problem
      refused.set(code, (refused.get(code) as number) + 1)
      throw error
    }
    outcomes.letIn++
  })
}

/**
 * The hook that lets in whose token names an account and a session by ids as this service gives them. It stands behind
 * the guard, before whatever looks them up: a token that another holder of the secret made may say something else.
 *
 * @throws Problem token_invalid
 */
export const requireOwnIds: onRequestHookHandler = hook(({ user }) => {
  if (!UUID.test(user.sub) || !UUID.test(user.sid)) {
    throw new Problem('token_invalid', {
      detail: 'The access token is not valid: it is not for an account here.',
    })
  }
})

/** The hook that lets in who has the role. It stands behind the guard. @throws Problem insufficient_role */
export function requireRole(role: string): onRequestHookHandler {
  return hook(({ user }) => checkRole(user, role))
}

/** The hook that lets in who has the scope. It stands behind the guard. @throws Problem insufficient_scope */
export function requireScope(scope: string): onRequestHookHandler {
  return hook(({ user }) => checkScope(user, scope))
}

// A hook with a callback costs no promise; what it throws has to be handed on.
function hook(check: (request: FastifyRequest) => void): onRequestHookHandler {
  return (request, _reply, done: HookHandlerDoneFunction) => {
    try {
      check(request)
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  }
}
