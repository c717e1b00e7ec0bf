import { Problem, problemBody } from '../problem.ts'
import { bearerToken, checkRole, checkScope } from '../tokens/bearer.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Verify } from '../tokens/verifier.ts'

/** What a guard asks for besides a token that is let in. */
export interface Needs {
  readonly role?: string | undefined
  readonly scope?: string | undefined
}

/** An answer that refuses, as Latchkey's own API gives it. */
export interface Refusal {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/**
 * Lets a request in by its access token, or not.
 *
 * @param authorization what its Authorization header says; several are joined by commas
 * @throws Problem token_missing, token_invalid, token_expired, token_revoked, token_stale, revocations_stale;
 *   insufficient_role, insufficient_scope; invalid_request for a malformed or repeated header
 */
export function admit(verify: Verify, { role, scope }: Needs, authorization: string | undefined): Claims {
  const claims = verify(bearerToken(authorization))
  if (role !== undefined) checkRole(claims, role)
  if (scope !== undefined) checkScope(claims, scope)
  return claims
}

/**
 * What to answer: RFC 9457 problem+json, with the challenge of RFC 6750 section 3.
 *
 * @param error what admit() threw
 * @throws whatever is no Problem
 */
export function refusalOf(error: unknown, requestId: string): Refusal {
  if (!(error instanceof Problem)) throw error
  return {
    status: error.kind.status,
    headers: {
      ...error.headers,
      'content-type': 'application/problem+json; charset=utf-8',
      'x-request-id': requestId,
      'cache-control': 'no-store',
    },
    body: JSON.stringify(problemBody(error, requestId)),
  }
}
