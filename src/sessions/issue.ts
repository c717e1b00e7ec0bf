import { randomUUIDv7 } from 'node:crypto'
import type { Client } from '../audit/events.ts'
import type { AccountKind } from '../database/schema.ts'
import { Problem } from '../problem.ts'
import type { AccessToken, Mint } from '../tokens/mint.ts'
import { parseScope, type Roles } from '../tokens/roles.ts'
import { firstToken, formatRefreshToken, type RefreshToken } from './refresh-token.ts'
import type { NewSession, Session } from './store.ts'

/** What a client is given to be let in with. Durations are in seconds. */
export interface Tokens {
  readonly accessToken: string
  readonly expiresIn: number
  readonly refreshToken: string
  readonly refreshTokenExpiresIn: number
  readonly scope: string
}

/** What a client asks for. What it leaves out, it gets all it may have of, and tokens for us. */
export interface Wish {
  /** Scopes, separated by spaces. */
  readonly scope?: string | undefined
  readonly audience?: string | undefined
}

/** What an account may do, in a session. */
export interface Grantee {
  readonly account_kind: AccountKind
  readonly roles: readonly string[]
  /** What the session was opened for; null for all that the roles bring. */
  readonly scope: string | null
}

/** What a token will let its bearer do, and where. */
export interface Grant {
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  readonly audience: string
}

export interface IssueParts {
  readonly mint: Mint
  readonly roles: Pick<Roles, 'scopesOf'>
  /** For whom tokens are minted; the first is us. */
  readonly audiences: readonly string[]
  /** Seconds that a refresh token lasts unused. */
  readonly idleTtl: number
  /** Seconds that a session lasts at most. */
  readonly sessionTtl: number
}

export type Issue = ReturnType<typeof createIssue>

/** How sessions come into being and how long they last; what a client gets for them. Nothing here is stored. */
export function createIssue({ mint, roles: allRoles, audiences, idleTtl, sessionTtl }: IssueParts) {
  /** When a session ends that is used now and not again, both in milliseconds since 1970. */
  function expiryFrom(now: number, createdAt: number): number {
    return Math.min(now + idleTtl * 1_000, createdAt + sessionTtl * 1_000)
  }

  /** @throws Problem invalid_request for an audience that is not configured */
  function audienceOf({ audience = audiences[0] as string }: Wish): string {
    if (!audiences.includes(audience)) throw refused('audience', 'is not one of the configured audiences')
    return audience
  }

  /**
   * Grants what is asked for, and never more than there is (RFC 6749 sections 3.3 and 6).
   *
   * @throws Problem invalid_request for a scope that can't be granted, or an audience that is not configured
   */
  function grant({ account_kind, roles, scope }: Grantee, wish: Wish): Grant {
    const brought = allRoles.scopesOf(roles)
    const opened = scope === null ? brought : parseScope(scope)
    // A service has the scopes of its credential; a person those of the roles, of which a session may have fewer.
    const granted = account_kind === 'service' ? opened : opened.filter((name) => brought.includes(name))
    const asked = wish.scope === undefined ? granted : parseScope(wish.scope)
    if (!asked.every((name) => granted.includes(name)))
      throw refused('scope', 'asks for more than is granted')
    return { roles, scopes: [...new Set(asked)].sort(), audience: audienceOf(wish) }
  }

  /** An access token of a session, minted now. */
  function accessTokenFor(
    session: Pick<Session, 'id' | 'account_id' | 'expires_at'>,
    granted: Grant,
    now: number,
  ): AccessToken {
    const { id: sessionId, account_id: accountId, expires_at: sessionExpiresAt } = session
    return mint({ accountId, sessionId, sessionExpiresAt, ...granted }, now)
  }

  /** The tokens of a session: an access token minted now, and the refresh token that is given. */
  function tokensFor(
    session: Pick<Session, 'id' | 'account_id' | 'expires_at'>,
    refresh: RefreshToken,
    granted: Grant,
    now: number,
  ): Tokens {
    const access = accessTokenFor(session, granted, now)
    return {
      accessToken: access.token,
      expiresIn: access.expiresIn,
      refreshToken: formatRefreshToken(refresh),
      refreshTokenExpiresIn: Math.floor((session.expires_at - now) / 1_000),
      scope: access.scope,
    }
  }

  /**
   * A new session and its tokens, in memory: the caller stores the row, in the transaction it belongs to.
   *
   * @param now milliseconds since 1970, from before the account was read: no token is younger than what it was made of
   * @throws Problem invalid_request as grant()
   */
  function draft(
    account: { readonly id: string; readonly roles: readonly string[] },
    wish: Wish,
    client: Client,
    now: number,
  ): { row: NewSession; tokens: Tokens } {
    const { token, keys } = firstToken(randomUUIDv7())
    const granted = grant({ account_kind: 'person', roles: account.roles, scope: null }, wish)
    const row = {
      id: token.sessionId,
      account_id: account.id,
      ...keys,
      rotation_salt: null,
      rotated_at: now,
      created_at: now,
      last_used_at: now,
      expires_at: expiryFrom(now, now),
      ip: client.ip,
      user_agent: client.userAgent,
      scope: wish.scope === undefined ? null : granted.scopes.join(' '),
    }
    return { row, tokens: tokensFor(row, token, granted, now) }
  }

  return { expiryFrom, audienceOf, grant, accessTokenFor, tokensFor, draft }
}

function refused(path: string, message: string): Problem {
  return new Problem('invalid_request', { errors: [{ path, message }] })
}
