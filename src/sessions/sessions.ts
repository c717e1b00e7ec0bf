import { randomUUIDv7 } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Client, RecordEvent } from '../events.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { withPassword } from '../passwords/proof.ts'
import { Problem } from '../problem.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Mint } from '../tokens/mint.ts'
import type { Revocations } from '../tokens/revocations.ts'
import {
  childToken,
  firstToken,
  formatRefreshToken,
  hashOf,
  isGenuine,
  isNewest,
  parseRefreshToken,
  type RefreshToken,
  rotationSalt,
} from './refresh-token.ts'
import type { Credentials, NewSession, OpenSession, Session, SessionStore, Which } from './store.ts'

/** Milliseconds in which the previous refresh token gets the same child once more: its answer may have been lost. */
const GRACE = 10_000
const LISTED_SESSIONS = 100
const LONGEST_USER_AGENT = 256

export type LogoutScope = 'this' | 'others' | 'all'

/** What a client is given to be let in with. Durations are in seconds. */
export interface Tokens {
  readonly accessToken: string
  readonly expiresIn: number
  readonly refreshToken: string
  readonly refreshTokenExpiresIn: number
  readonly scope: string
}

export interface SessionsParts {
  readonly store: SessionStore
  readonly passwords: Passwords
  readonly mint: Mint
  readonly revocations: Revocations
  readonly record: RecordEvent
  /** Milliseconds since 1970. */
  readonly clock: () => number
  /** Seconds that a refresh token lasts unused. */
  readonly idleTtl: number
  /** Seconds that a session lasts at most. */
  readonly sessionTtl: number
}

export type Sessions = ReturnType<typeof createSessions>

/** The rules of how long you stay: log in, refresh, list, log out. */
export function createSessions(parts: SessionsParts) {
  const { store, passwords, mint, revocations, record, clock } = parts

  function expiryFrom(now: number, createdAt: number): number {
    return Math.min(now + parts.idleTtl * 1_000, createdAt + parts.sessionTtl * 1_000)
  }

  // By its row, or by a SESSION_TTL that was shortened since.
  function hasEnded(session: Session, now: number): boolean {
    return session.expires_at <= now || expiryFrom(now, session.created_at) <= now
  }

  function tokensFor(
    session: Pick<Session, 'id' | 'account_id' | 'expires_at'>,
    refresh: RefreshToken,
    options: {
      readonly roles: readonly string[]
      readonly now: number
    },
  ): Tokens {
    const { roles, now } = options
    const subject = {
      accountId: session.account_id,
      sessionId: session.id,
      roles,
      sessionExpiresAt: session.expires_at,
    }
    const access = mint(subject, now)
    return {
      accessToken: access.token,
      expiresIn: access.expiresIn,
      refreshToken: formatRefreshToken(refresh),
      refreshTokenExpiresIn: Math.floor((session.expires_at - now) / 1_000),
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

  async function openFor(
    account: Credentials,
    password: string,
    client: Client,
  ): Promise<Tokens | undefined> {
    // The right password alone gets to hear that the account is disabled.
    if (account.status === 'disabled') {
      record('login_failed', client, { account_id: account.id, reason: 'account_disabled' })
      throw new Problem('account_disabled')
    }
    const { passwordHash } = account
    const rehashed = passwords.needsRehash(passwordHash) ? await passwords.hash(password) : passwordHash
    const { row, tokens } = draft(account.id, account.roles, client)
    if (!(await store.open(row, passwordHash, rehashed))) return undefined
    record('login', client, { account_id: account.id, session_id: row.id })
    return tokens
  }

  function refuseRefresh(): never {
    throw new Problem('refresh_token_invalid')
  }

  // RFC 9700 section 4.14.2: a refresh token that comes back after its rotation was stolen, from one side or the other.
  async function endReused(session: OpenSession, client: Client): Promise<never> {
    revocations.revoke(await store.end(session.account_id, { only: session.id }))
    record('refresh_reused', client, { account_id: session.account_id, session_id: session.id })
    throw new Problem('refresh_token_reused')
  }

  /** @returns the tokens, or undefined where another rotation or a logout came first */
  async function rotate(session: OpenSession, token: RefreshToken, now: number): Promise<Tokens | undefined> {
    const salt = rotationSalt()
    const child = childToken(token, salt, session)
    const expires_at = expiryFrom(now, session.created_at)
    const to = {
      rotation_salt: salt,
      secret_hash: hashOf(child.secret),
      rotated_at: now,
      last_used_at: now,
      expires_at,
    }
    if (!(await store.rotate(session.id, session.secret_hash, to))) return undefined
    return tokensFor({ ...session, expires_at }, child, { roles: session.roles, now })
  }

  /** @returns the tokens that the token's own rotation gave, if it is the previous one and within the grace */
  function repeat(session: OpenSession, token: RefreshToken, now: number): Tokens | undefined {
    if (session.rotation_salt === null || now - session.rotated_at > GRACE) return undefined
    const child = childToken(token, session.rotation_salt, session)
    if (!isNewest(child, session)) return undefined
    return tokensFor(session, child, { roles: session.roles, now })
  }

  return {
    draft,

    /**
     * Opens a session for an address and its password.
     *
     * @param emailKey the address as emailKey() writes it
     * @throws Problem invalid_credentials, in the same time for known and unknown addresses; account_disabled; overloaded
     */
    async logIn(emailKey: string, password: string, client: Client): Promise<Tokens> {
      let accountId: string | undefined
      const find = async () => {
        const account = await store.findCredentials(emailKey)
        accountId = account?.id
        return account
      }
      try {
        return await withPassword(passwords, password, find, (account) => openFor(account, password, client))
      } catch (error) {
        if (error instanceof Problem && error.code === 'invalid_credentials') {
          record('login_failed', client, { ...(accountId && { account_id: accountId }), reason: error.code })
        }
        throw error
      }
    },

    /**
     * Gives new tokens for a refresh token, which is thereby used up (RFC 9700 section 4.14.2). The one before the
     * newest gets the same child again for 10 s. A genuine one that is older ends the session; one that is made up
     * ends nothing.
     *
     * @throws Problem refresh_token_invalid, refresh_token_reused, account_disabled
     */
    async refresh(text: string, client: Client): Promise<Tokens> {
      const token = parseRefreshToken(text)
      if (token === undefined) return refuseRefresh()
      // Taken before the row is written: a token minted here is never younger than a logout that came after.
      const now = clock()

      for (;;) {
        const session = await store.find(token.sessionId)
        if (session === undefined || hasEnded(session, now)) return refuseRefresh()
        if (!isGenuine(token, session)) return refuseRefresh()
        if (session.status === 'disabled') throw new Problem('account_disabled')

        if (!isNewest(token, session)) {
          return repeat(session, token, now) ?? endReused(session, client)
        }
        const tokens = await rotate(session, token, now)
        if (tokens !== undefined) return tokens
      }
    },

    /**
     * What every route asks that goes to the database anyway: whether the session is still there. Another node, or this
     * one before it was started again, may have ended it. From then on the guard here refuses it too.
     *
     * @throws Problem token_revoked
     */
    async requireSession({ sid }: Pick<Claims, 'sid'>): Promise<void> {
      if ((await store.find(sid)) !== undefined) return
      revocations.revoke([sid])
      throw new Problem('token_revoked')
    },

    /** The account's sessions, the last used first; at most a hundred. */
    async list(accountId: string): Promise<readonly Session[]> {
      return store.list(accountId, clock(), LISTED_SESSIONS)
    },

    /**
     * Signs out: of this session, of the account's others, or of all. This node's guard refuses the ended sessions'
     * access tokens at once.
     */
    async logOut(
      { sub, sid }: Pick<Claims, 'sub' | 'sid'>,
      scope: LogoutScope,
      client: Client,
    ): Promise<void> {
      const which: Which = { this: { only: sid }, others: { except: sid }, all: 'all' as const }[scope]
      const ended = await store.end(sub, which)
      // Its own session also where the row is gone already: who signs out is signed out.
      revocations.revoke(scope === 'others' ? ended : [...ended, sid])
      record('logout', client, { account_id: sub, session_id: sid, sessions_ended: ended.length })
    },

    /** Ends one session of an account. @throws Problem not_found if the account has no such session */
    async end(accountId: string, sessionId: string, client: Client): Promise<void> {
      const ended = await store.end(accountId, { only: sessionId })
      if (ended.length === 0) throw new Problem('not_found', { detail: 'The account has no such session.' })
      revocations.revoke(ended)
      record('session_ended', client, { account_id: accountId, session_id: sessionId })
    },

    /**
     * Deletes every expired session, a bounded batch at a time, and lets others do their work in between.
     *
     * @param isStopped asked between batches
     * @returns how many
     */
    async sweep(isStopped: () => boolean): Promise<number> {
      let deleted = 0
      for (let full = true; full && !isStopped(); ) {
        const batch = await store.sweep(clock())
        deleted += batch.deleted
        full = batch.full
        // SQLite answers without ever leaving the event loop.
        await setImmediate()
      }
      return deleted
    },
  }
}
