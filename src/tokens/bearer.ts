import { Problem } from '../problem.ts'
import type { Claims } from './claims.ts'

// RFC 9110 section 11.4: a scheme in any case, one or more spaces, and credentials without a space or a comma.
// A field that was sent twice is joined by a comma (http.Server's joinDuplicateHeaders), and so doesn't match. The
// spaces are few, for a token that is remembered keeps the header it was cut from.
const AUTHORIZATION = /^([!#$%&'*+.^_`|~\w-]+)(?: {1,16}([^\s,]+))?$/

// As nearly everybody writes it.
const USUAL = 'Bearer '

/**
 * Takes the token out of an Authorization header (RFC 6750 section 2.1).
 *
 * @throws Problem token_missing; invalid_request for a malformed or repeated header
 */
export function bearerToken(header: string | undefined): string {
  if (header === undefined) throw new Problem('token_missing')
  if (header.startsWith(USUAL) && header.length > USUAL.length && isOneWord(header, USUAL.length)) {
    return header.slice(USUAL.length)
  }
  const match = AUTHORIZATION.exec(header)
  if (match === null) throw malformed()
  const [, scheme, credentials] = match as unknown as [string, string, string | undefined]
  if (scheme.toLowerCase() !== 'bearer') throw new Problem('token_missing')
  if (credentials === undefined) throw malformed()
  return credentials
}

// For what a header may hold, to look for each is many times as fast as a regular expression over a whole token.
function isOneWord(text: string, from: number): boolean {
  for (const other of [' ', ',', '\t', '\u00a0']) if (text.indexOf(other, from) >= 0) return false
  return true
}

/** @throws Problem insufficient_role */
export function checkRole({ roles }: Pick<Claims, 'roles'>, role: string): void {
  if (!roles.includes(role)) {
    throw new Problem('insufficient_role', { detail: `This needs the role ${role}.`, scope: role })
  }
}

/** @throws Problem insufficient_scope */
export function checkScope({ scope }: Pick<Claims, 'scope'>, needed: string): void {
  if (!scope.split(' ').includes(needed)) {
    throw new Problem('insufficient_scope', { detail: `This needs the scope ${needed}.`, scope: needed })
  }
}

function malformed(): Problem {
  return new Problem('invalid_request', {
    detail: 'The Authorization header must stand once, as: Bearer, a space, the token.',
    challenge: 'invalid_request',
  })
}
