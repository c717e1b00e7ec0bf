import { isUtf8 } from 'node:buffer'
import { Problem } from '../problem.ts'
import {
  ALGORITHM,
  type Claims,
  LEEWAY,
  LONGEST_TOKEN,
  LONGEST_TOKEN_TTL,
  type Parties,
  TOKEN_TYPE,
} from './claims.ts'
import type { Revocations } from './revocations.ts'
import { createTokenMemory, type TokenMemory } from './token-memory.ts'

// Base64url in its one canonical form: no padding, and zero in the bits that a last character leaves over
// (RFC 4648 section 3.5; RFC 8725bis section 3.14). By how many characters are left over from groups of four:
const LAST_CHARACTERS = [undefined, '', 'AQgw', 'AEIMQUYcgkosw048'] as const
const COMPACT_JWS = /^[\w-]*\.[\w-]*\.[\w-]*$/

/** One secret, ready to verify. */
export interface VerificationKey {
  /** Checks what verifyOptions() says. @throws an Error for whatever doesn't hold */
  verify(token: string): void
}

/** The secrets by their kid. */
export interface VerificationKeys {
  /** @returns the key of that kid, or undefined: an unknown kid fails closed */
  find(kid: unknown): VerificationKey | undefined
  /** How often the secrets were replaced. */
  readonly generation: number
}

export interface VerifierParts extends Parties {
  readonly keyring: VerificationKeys
  readonly revocations: Revocations
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Seconds after which not to have heard of revocations is to let nobody in; undefined is never. */
  readonly maxStaleness?: number | undefined
  /** Where tokens are remembered; an empty memory of its own unless it is given. */
  readonly memory?: TokenMemory
}

/**
 * Decides whether a token is let in.
 *
 * @returns its claims, frozen
 * @throws Problem token_invalid, token_expired, token_revoked, token_stale, revocations_stale
 */
export type Verify = (token: string) => Claims

/**
 * Builds the verifier: synchronous, and from memory alone. A token that verified once is remembered by its exact text
 * until a revocation speaks of its session or its account; its times are looked at again on every use. A token that
 * failed is never remembered, so nobody can push out good ones.
 */
export function createVerifier(parts: VerifierParts): Verify {
  const { keyring, revocations, clock, maxStaleness, memory: remembered = createTokenMemory() } = parts
  revocations.onRevocation((cause) => {
    remembered.forget('sessionId' in cause ? cause.sessionId : cause.accountId)
  })
  let { generation } = keyring
  const kidOf = createHeaderReader()

  function verifyAndRemember(token: string, now: number): Claims {
    const claims = verifyAfresh(token, parts, kidOf)
    checkTimes(claims, now)
    revocations.check(claims)
    remembered.add(token, claims)
    return claims
  }

  return (token) => {
    // What was remembered may be signed by a secret that was dropped.
    if (generation !== keyring.generation) {
      remembered.clear()
      generation = keyring.generation
    }
    const now = clock() / 1_000
    const known = remembered.find(token)
    if (known !== undefined) checkTimes(known, now)
    const claims = known ?? verifyAndRemember(token, now)
    if (maxStaleness !== undefined && revocations.age() > maxStaleness) throw new Problem('revocations_stale')
    return claims
  }
}

function verifyAfresh(
  token: string,
  { keyring, issuer, audience }: VerifierParts,
  kidOf: (headerSegment: string) => unknown,
): Claims {
  const segments = token.length > LONGEST_TOKEN || !COMPACT_JWS.test(token) ? [] : token.split('.')
  const [headerSegment, payloadSegment] = segments
  if (headerSegment === undefined || payloadSegment === undefined || !segments.every(isCanonical)) {
    return refuse('it is not a compact JWS of at most 2 KiB')
  }
  const key = keyring.find(kidOf(headerSegment))
  if (key === undefined) return refuse('no key here has its kid')
  checkSignature(key, token)
  return checkClaims(parseObject(payloadSegment), issuer, audience)
}

function isCanonical(segment: string): boolean {
  const last = LAST_CHARACTERS[segment.length % 4]
  return last?.includes(segment.at(-1) as string) ?? true
}

/** Reads headers, and knows the last good one again: nearly all tokens have the same. */
function createHeaderReader(): (segment: string) => unknown {
  let last: { readonly segment: string; readonly kid: unknown } | undefined
  return (segment) => {
    if (last?.segment === segment) return last.kid
    const { alg, typ, kid, ...others } = parseObject(segment)
    if (alg !== ALGORITHM || typ !== TOKEN_TYPE || kid === undefined || Object.keys(others).length > 0) {
      refuse('its header is not that of an access token')
    }
    last = { segment, kid }
    return kid
  }
}

// RFC 8725 section 2.7 and 3.14 (bis): JSON.parse keeps the last of two equal names, other parsers the first.
function parseObject(segment: string): Record<string, unknown> {
  const bytes = Buffer.from(segment, 'base64url')
  // RFC 7519 section 7.2: two texts must not read as one, with U+FFFD where a byte was no character.
  if (!isUtf8(bytes)) return refuse('a part of it is not UTF-8')
  const text = bytes.toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    return refuse('a part of it is not JSON', cause)
  }
  if (!isObject(value)) return refuse('a part of it is not an object')
  const names = text.replace(/"(?:[^"\\]|\\.)*"/g, '').split(':').length - 1
  if (names !== countNames(value)) refuse('a name is repeated in it')
  return value
}

function countNames(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const parts: unknown[] = Object.values(value)
  const own = Array.isArray(value) ? 0 : parts.length
  return parts.reduce((sum: number, part) => sum + countNames(part), own)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

// Whatever the library says of a token, and in whichever words, is a 401 and never a 500.
function checkSignature(key: VerificationKey, token: string): void {
  try {
    key.verify(token)
  } catch (cause) {
    throw new Problem('token_invalid', { cause })
  }
}

function checkClaims(payload: Readonly<Record<string, unknown>>, issuer: string, audience: string): Claims {
  const { iss, aud, sub, sid, jti, iat, exp, nbf, roles, scope } = payload
  if (iss !== issuer || aud !== audience) return refuse('it was made by or for somebody else')
  if (!isText(sub) || !isText(sid) || !isText(jti)) return refuse('sub, sid or jti is missing')
  if (!isTime(iat) || !isTime(exp) || !(nbf === undefined || isTime(nbf)))
    return refuse('a time is no whole number')
  if (exp <= iat || exp - iat > LONGEST_TOKEN_TTL) return refuse('it lives too long')
  if (!Array.isArray(roles) || !roles.every(isText) || typeof scope !== 'string') {
    return refuse('roles or scope is missing')
  }
  return Object.freeze({
    ...{ iss, aud, sub, sid, jti, iat, exp, scope },
    roles: Object.freeze(roles),
    ...(nbf === undefined ? {} : { nbf }),
  })
}

// RFC 7519 sections 4.1.4 to 4.1.6, each with the leeway of this service. `now` is in seconds.
function checkTimes(claims: Claims, now: number): void {
  if (now >= claims.exp + LEEWAY) throw new Problem('token_expired')
  if (claims.iat > now + LEEWAY) refuse('it was issued in the future')
  if (claims.nbf !== undefined && claims.nbf > now + LEEWAY) refuse('it is not valid yet')
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function isTime(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function refuse(reason: string, cause?: unknown): never {
  throw new Problem('token_invalid', { detail: `The access token is not valid: ${reason}.`, cause })
}
