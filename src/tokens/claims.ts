import type { VerifierOptions } from 'fast-jwt'

/** What an access token says (RFC 9068 section 2.2). Times are in whole seconds since 1970. */
export interface Claims {
  readonly iss: string
  readonly aud: string
  /** The account's id. */
  readonly sub: string
  /** The session's id. */
  readonly sid: string
  readonly jti: string
  readonly iat: number
  readonly exp: number
  /** Never minted here, but heeded where another holder of the secret sets it. */
  readonly nbf?: number
  readonly roles: readonly string[]
  /** Scopes, separated by spaces (RFC 6749 section 3.3). */
  readonly scope: string
}

/** The one algorithm and the one type that are signed and accepted here (RFC 8725 sections 3.1 and 3.11). */
export const ALGORITHM = 'HS256' as const
export const TOKEN_TYPE = 'at+jwt'

/** The longest an access token may live, in seconds. Configuration can only shorten it. */
export const LONGEST_TOKEN_TTL = 3_600

/** The longest an access token may be, in bytes. */
export const LONGEST_TOKEN = 2_048

/** How far clocks may differ, in seconds. */
export const LEEWAY = 5

/** The strings that a token must carry in `iss` and `aud`, exactly. */
export interface Parties {
  readonly issuer: string
  readonly audience: string
}

/** The header of every access token that a secret signs. */
export function headerOf(kid: string) {
  return { alg: ALGORITHM, typ: TOKEN_TYPE, kid } as const
}

/**
 * What fast-jwt checks of a token, by itself or under @fastify/jwt: algorithm, type, signature, parties, and that no
 * claim is missing. Times are left to the verifier, whose clock it is.
 */
export function verifyOptions({ issuer, audience }: Parties) {
  return {
    algorithms: [ALGORITHM],
    allowedIss: issuer,
    allowedAud: audience,
    requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],
    checkTyp: TOKEN_TYPE,
    ignoreExpiration: true,
    ignoreNotBefore: true,
    cache: false,
  } satisfies Partial<VerifierOptions>
}
