import { randomUUIDv7 } from 'node:crypto'
import { LONGEST_TOKEN } from './claims.ts'
import type { Keyring } from './keyring.ts'

export interface AccessToken {
  readonly token: string
  /** Seconds until it expires. */
  readonly expiresIn: number
  readonly scope: string
}

/** For whom a token is minted, and what it lets them do. */
export interface Subject {
  readonly accountId: string
  readonly sessionId: string
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  /** One that the keyring has. */
  readonly audience: string
  /** Milliseconds since 1970 at which the session ends: no token outlives it. */
  readonly sessionExpiresAt: number
}

/** @param now milliseconds since 1970; the token's iat */
export type Mint = (subject: Subject, now: number) => AccessToken

/**
 * @param ttl seconds that a token lives at most
 * @returns the function that mints access tokens, signed by the keyring's current key for their audience
 * @throws (when minting) an Error if the token would be longer than 2 KiB, or if no key signs for its audience
 */
export function createMint(keyring: Keyring, { issuer }: { readonly issuer: string }, ttl: number): Mint {
  return ({ accountId, sessionId, roles, scopes, audience, sessionExpiresAt }, now) => {
    const iat = Math.floor(now / 1_000)
    const exp = Math.min(iat + ttl, Math.ceil(sessionExpiresAt / 1_000))
    const scope = scopes.join(' ')
    const key = keyring.signerFor(audience)
    if (key === undefined) throw new Error('no key signs for the audience')
    const token = key.sign({
      iss: issuer,
      aud: audience,
      sub: accountId,
      sid: sessionId,
      jti: randomUUIDv7(),
      iat,
      exp,
      roles,
      scope,
    })
    if (token.length > LONGEST_TOKEN) {
      throw new Error(`an access token of ${token.length} bytes is over the limit of ${LONGEST_TOKEN}`)
    }
    return { token, expiresIn: exp - iat, scope }
  }
}
