import { randomUUIDv7 } from 'node:crypto'
import { LONGEST_TOKEN } from './claims.ts'
import type { Keyring, Parties } from './keyring.ts'
import { scopesOf } from './roles.ts'

export interface AccessToken {
  readonly token: string
  /** Seconds until it expires. */
  readonly expiresIn: number
  readonly scope: string
}

/** For whom a token is minted. */
export interface Subject {
  readonly accountId: string
  readonly sessionId: string
  readonly roles: readonly string[]
  /** Milliseconds since 1970 at which the session ends: no token outlives it. */
  readonly sessionExpiresAt: number
}

/** @param now milliseconds since 1970; the token's iat */
export type Mint = (subject: Subject, now: number) => AccessToken

/**
 * @param ttl seconds that a token lives at most
 * @returns the function that mints access tokens, signed by the keyring's current key
 * @throws (when minting) an Error if the token would be longer than 2 KiB
 */
export function createMint(keyring: Keyring, { issuer, audience }: Parties, ttl: number): Mint {
  return ({ accountId, sessionId, roles, sessionExpiresAt }, now) => {
    const iat = Math.floor(now / 1_000)
    const exp = Math.min(iat + ttl, Math.ceil(sessionExpiresAt / 1_000))
    const scope = scopesOf(roles).join(' ')
    const token = keyring.current.sign({
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
