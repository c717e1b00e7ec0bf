import { randomUUIDv7 } from 'node:crypto'
import type { Client } from '../events.ts'
import type { Mint } from '../tokens/mint.ts'
import { firstToken, formatRefreshToken, type RefreshToken } from './refresh-token.ts'
import type { NewSession, Session } from './store.ts'

const LONGEST_USER_AGENT = 256

/** What a client is given to be let in with. Durations are in seconds. */
export interface Tokens {
  readonly accessToken: string
  readonly expiresIn: number
  readonly refreshToken: string
  readonly refreshTokenExpiresIn: number
  readonly scope: string
}

export interface IssueParts {
  readonly mint: Mint
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Seconds that a refresh token lasts unused. */
  readonly idleTtl: number
  /** Seconds that a session lasts at most. */
  readonly sessionTtl: number
}

export type Issue = ReturnType<typeof createIssue>

/** How sessions come into being and how long they last; what a client gets for them. Nothing here is stored. */
export function createIssue({ mint, clock, idleTtl, sessionTtl }: IssueParts) {
  /** When a session ends that is used now and not again, both in milliseconds since 1970. */
  function expiryFrom(now: number, createdAt: number): number {
    return Math.min(now + idleTtl * 1_000, createdAt + sessionTtl * 1_000)
  }

  /** The tokens of a session: an access token minted now, and the refresh token that is given. */
  function tokensFor(
    session: Pick<Session, 'id' | 'account_id' | 'expires_at'>,
    refresh: RefreshToken,
    { roles, now }: { readonly roles: readonly string[]; readonly now: number },
  ): Tokens {
    const { id: sessionId, account_id: accountId, expires_at: sessionExpiresAt } = session
    const access = mint({ accountId, sessionId, roles, sessionExpiresAt }, now)
    return {
      accessToken: access.token,
      expiresIn: access.expiresIn,
      refreshToken: formatRefreshToken(refresh),
      refreshTokenExpiresIn: Math.floor((sessionExpiresAt - now) / 1_000),
      scope: access.scope,
    }
  }

  /** A new session and its tokens, in memory: the caller stores the row, in the transaction it belongs to. */
  function draft(
    accountId: string,
    roles: readonly string[],
    client: Client,
  ): { row: NewSession; tokens: Tokens } {
    const now = clock()
    const { token, keys } = firstToken(randomUUIDv7())
    const row = {
      id: token.sessionId,
      account_id: accountId,
      ...keys,
      rotation_salt: null,
      rotated_at: now,
      created_at: now,
      last_used_at: now,
      expires_at: expiryFrom(now, now),
      ip: client.ip,
      user_agent: client.userAgent?.slice(0, LONGEST_USER_AGENT) ?? null,
    }
    return { row, tokens: tokensFor(row, token, { roles, now }) }
  }

  return { expiryFrom, tokensFor, draft }
}
