import type { Client } from '../audit/events.ts'
import type { Trail } from '../audit/trail.ts'
import type { Tx } from '../database/schema.ts'
import type { Passwords } from '../passwords/passwords.ts'
import { withPassword } from '../passwords/proof.ts'
import { Problem } from '../problem.ts'
import { placeOf } from '../throttling/networks.ts'
import type { Attempt, Throttle } from '../throttling/throttle.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Revocations } from '../tokens/revocations.ts'
import { createCredentials } from './credentials.ts'
import { createIssue, type IssueParts, type Tokens, type Wish } from './issue.ts'
import { createRefresh } from './refresh.ts'
import type { Credentials, EndedSessions, Session, SessionStore, Which } from './store.ts'

const LISTED_SESSIONS = 100

export type LogoutScope = 'this' | 'others' | 'all'

export interface SessionsParts extends IssueParts {
  readonly store: SessionStore
  readonly passwords: Passwords
  readonly revocations: Revocations
  readonly throttle: Throttle
  readonly trail: Trail
  /** Where it is counted how often a refresh gave the same tokens once more. */
  readonly refreshes?: { repeated: number }
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

export type Sessions = ReturnType<typeof createSessions>

/** The rules of how long you stay: log in, refresh, list, log out. */
export function createSessions(parts: SessionsParts) {
  const { store, passwords, revocations, throttle, trail, clock } = parts
  const issue = createIssue(parts)
  const refresh = createRefresh({ ...parts, issue })

  async function openFor(
    account: Credentials,
    password: string,
    wish: Wish,
    client: Client,
    now: number,
    attempt: Attempt,
  ): Promise<Tokens | undefined> {
    // The right password alone gets to hear why it doesn't help. That is written before it is told, as a wrong one is: a
    // database that takes no writes would otherwise tell one from the other, to whoever asks and as often.
    const refuse = async (reason: string, problem: unknown): Promise<never> => {
      await attempt.succeeded()
      await trail.record('login_failed', client, { account_id: account.id, reason })
      throw problem
    }
    if (account.status === 'disabled') return refuse('account_disabled', new Problem('account_disabled'))
    const draft = () => issue.draft(account, wish, client, now)
    const { row, tokens } = await Promise.try(draft).catch((error) => refuse('scope_refused', error))
    const { passwordHash } = account
    const rehashed = passwords.needsRehash(passwordHash) ? await passwords.hash(password) : passwordHash
    const isOpen = await store.open(row, passwordHash, rehashed, async (tx) => {
      await attempt.succeeded(tx)
      await trail.recordIn(tx, 'login', client, { account_id: account.id, session_id: row.id })
    })
    return isOpen ? tokens : undefined
  }

  /**
   * What every route asks that goes to the database anyway: whether the session is still there. Another node may have
   * ended it this very moment.
   *
   * @throws Problem token_revoked
   */
  async function requireSession({ sid }: Pick<Claims, 'sid'>): Promise<void> {
    if (!(await store.exists(sid))) throw new Problem('token_revoked')
  }

  return {
    draft: issue.draft,
    refresh,
    ...createCredentials({ ...parts, issue }),

    /**
     * Opens a session for an address and its password.
     *
     * @param emailKey the address as emailKey() writes it
     * @throws Problem invalid_credentials, in the same time for known and unknown addresses; account_disabled;
     *   too_many_attempts; overloaded; invalid_request for an audience that is not configured, or for a scope that the
     *   account doesn't have
     */
    async logIn(emailKey: string, password: string, wish: Wish, client: Client): Promise<Tokens> {
      issue.audienceOf(wish)
      let now: number
      const find = () => {
        now = clock()
        return store.findCredentials(emailKey)
      }
      const tryOnce = (attempt: Attempt) => {
        const open = (account: Credentials) => openFor(account, password, wish, client, now, attempt)
        return withPassword(passwords, password, find, open, (account) =>
          attempt.failed((tx, failures) =>
            trail.recordIn(tx, 'login_failed', client, {
              ...(account && { account_id: account.id }),
              reason: 'invalid_credentials',
              failures,
            }),
          ),
        )
      }
      return passwords.admit('stranger', placeOf(client), () => throttle.logIn(emailKey, client, tryOnce))
    },

    requireSession,

    /** The account's sessions, the last used first; at most a hundred. */
    async list(accountId: string): Promise<readonly Session[]> {
      return store.list(accountId, clock(), LISTED_SESSIONS)
    },

    /**
     * Signs out: of this session, of the account's others, or of all. This node's guard refuses the ended sessions'
     * access tokens at once, every other node's within a second. Who signs out is signed out, also where the session has
     * ended already; to sign out others takes a session that hasn't.
     *
     * @throws Problem token_revoked
     */
    async logOut(
      { sub, sid }: Pick<Claims, 'sub' | 'sid'>,
      scope: LogoutScope,
      client: Client,
    ): Promise<void> {
      if (scope !== 'this') await requireSession({ sid })
      const which: Which = { this: { only: sid }, others: { except: sid }, all: 'all' as const }[scope]
      const tell = async (tx: Tx, { count }: EndedSessions) => {
        // Where there are no others nothing happened, however often somebody asks for it.
        if (scope === 'others' && count === 0) return
        await trail.recordIn(tx, 'logout', client, {
          account_id: sub,
          session_id: sid,
          sessions_ended: count,
        })
      }
      const ended = await store.end(sub, which, clock(), tell, scope === 'others' ? undefined : sid)
      revocations.apply(ended.revocations)
    },

    /** Ends one session of an account. @throws Problem not_found if the account has no such session */
    async end(accountId: string, sessionId: string, client: Client): Promise<void> {
      const ended = await store.end(accountId, { only: sessionId }, clock(), async (tx, { count }) => {
        if (count === 0) throw new Problem('not_found', { detail: 'The account has no such session.' })
        await trail.recordIn(tx, 'session_ended', client, { account_id: accountId, session_id: sessionId })
      })
      revocations.apply(ended.revocations)
    },
  }
}
