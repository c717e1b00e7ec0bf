import type { Client } from '../audit/events.ts'
import type { Trail } from '../audit/trail.ts'
import { Problem } from '../problem.ts'
import type { Throttle } from '../throttling/throttle.ts'
import type { Revocations } from '../tokens/revocations.ts'
import type { Issue, Tokens, Wish } from './issue.ts'
import {
  childToken,
  hashOf,
  isGenuine,
  isNewest,
  parseRefreshToken,
  type RefreshToken,
  rotationSalt,
} from './refresh-token.ts'
import { isLeftover, type OpenSession, type Session, type SessionStore } from './store.ts'

/** Milliseconds in which the previous refresh token gets the same child once more: its answer may have been lost. */
const GRACE = 10_000

export interface RefreshParts {
  readonly store: SessionStore
  readonly issue: Issue
  readonly revocations: Revocations
  readonly throttle: Throttle
  readonly trail: Trail
  /** Where it is counted how often the same tokens were given once more. */
  readonly refreshes?: { repeated: number }
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/**
 * Gives new tokens for a refresh token, which is thereby used up (RFC 9700 section 4.14.2). The one before the
 * newest gets the same child again for 10 s. A genuine one that is older ends the session; one that is made up
 * ends nothing.
 *
 * Scopes that are asked for narrow the access token and not the session: the next refresh may ask for others of it
 * (RFC 6749 section 6).
 *
 * @throws Problem refresh_token_invalid, or too_many_attempts in place of it; refresh_token_reused; account_disabled;
 *   invalid_request for a scope that the session doesn't have, or an audience that is not configured: the refresh
 *   token then stays good
 */
export type Refresh = (text: string, wish: Wish, client: Client) => Promise<Tokens>

/** The rule of refresh. */
export function createRefresh(parts: RefreshParts): Refresh {
  const { store, issue, revocations, throttle, trail, refreshes = { repeated: 0 }, clock } = parts

  // With its account, by its row, or by a SESSION_TTL that was shortened since.
  function hasEnded(session: Session, now: number): boolean {
    return (
      isLeftover(session) || session.expires_at <= now || issue.expiryFrom(now, session.created_at) <= now
    )
  }

  // A genuine token is never held back: who has one isn't guessing.
  async function refuseRefresh(client: Client): Promise<never> {
    await throttle.wrongToken(client)
    throw new Problem('refresh_token_invalid')
  }

  // RFC 9700 section 4.14.2: a refresh token that comes back after its rotation was stolen, from one side or the other.
  async function endReused(session: OpenSession, client: Client): Promise<never> {
    const { account_id, id: session_id } = session
    const ended = await store.end(account_id, { only: session_id }, clock(), (tx) =>
      trail.recordIn(tx, 'refresh_reused', client, { account_id, session_id }),
    )
    revocations.apply(ended.revocations)
    throw new Problem('refresh_token_reused')
  }

  /** @returns the tokens, or undefined where another rotation or a logout came first */
  async function rotate(
    session: OpenSession,
    token: RefreshToken,
    wish: Wish,
    now: number,
  ): Promise<Tokens | undefined> {
    const granted = issue.grant(session, wish)
    const salt = rotationSalt()
    const child = childToken(token, salt, session)
    const expires_at = issue.expiryFrom(now, session.created_at)
    const to = { rotation_salt: salt, secret_hash: hashOf(child.secret), rotated_at: now, expires_at }
    if (!(await store.rotate(session.id, session.secret_hash, to))) return undefined
    return issue.tokensFor({ ...session, expires_at }, child, granted, now)
  }

  /** @returns the tokens that the token's own rotation gave, if it is the previous one and within the grace */
  function repeat(session: OpenSession, token: RefreshToken, wish: Wish, now: number): Tokens | undefined {
    if (session.rotation_salt === null || now - session.rotated_at > GRACE) return undefined
    const child = childToken(token, session.rotation_salt, session)
    if (!isNewest(child, session)) return undefined
    const tokens = issue.tokensFor(session, child, issue.grant(session, wish), now)
    refreshes.repeated++
    return tokens
  }

  return async (text, wish, client) => {
    const token = parseRefreshToken(text)
    if (token === undefined) return refuseRefresh(client)
    // Taken before the row is written: a token minted here is never younger than a logout that came after.
    const now = clock()

    for (;;) {
      const session = await store.find(token.sessionId)
      if (session === undefined || !isGenuine(token, session)) return refuseRefresh(client)
      // Disabling has ended the session as well, but this is the reason.
      if (session.status === 'disabled') throw new Problem('account_disabled')
      if (hasEnded(session, now)) return refuseRefresh(client)

      if (!isNewest(token, session)) {
        return repeat(session, token, wish, now) ?? endReused(session, client)
      }
      const tokens = await rotate(session, token, wish, now)
      if (tokens !== undefined) return tokens
    }
  }
}
