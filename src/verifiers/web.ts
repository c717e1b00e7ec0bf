import { requestIdFrom } from '../request-id.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Verify } from '../tokens/verifier.ts'
import { admit, type Needs, refusalOf } from './admission.ts'

export type { Claims, Needs }

/** Checks a standard Request. @returns its token's frozen claims, or the Response that refuses it */
export type Check = (request: Pick<Request, 'headers'>) => { readonly claims: Claims } | Response

/**
 * Guards whatever handles a standard Request: Hono, Next, Bun, workers. What it refuses it answers as Latchkey's own
 * API does: 401 and 403, 400 for a malformed header, 503 where the revocations are stale.
 *
 * @param verify as createVerifier() of `latchkey/verifier` makes it
 * @param needs the role and the scope that the token has to have, if any
 */
export function guard(verify: Verify, needs: Needs = {}): Check {
  return ({ headers: given }) => {
    try {
      return { claims: admit(verify, needs, given.get('authorization') ?? undefined) }
    } catch (error) {
      const { status, headers, body } = refusalOf(error, requestIdFrom(given.get('x-request-id')))
      return new Response(body, { status, headers })
    }
  }
}
