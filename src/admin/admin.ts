import type { Account, AccountStore } from '../accounts/store.ts'
import type { Client, EventFields, SecurityEvent } from '../audit/events.ts'
import type { Trail } from '../audit/trail.ts'
import type { AccountStatus } from '../database/schema.ts'
import { emailKey } from '../email.ts'
import { findPage, type PageWish } from '../keyset.ts'
import { Problem } from '../problem.ts'
import { newCredential } from '../sessions/credentials.ts'
import type { Session, SessionStore } from '../sessions/store.ts'
import type { Throttle } from '../throttling/throttle.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Revocations } from '../tokens/revocations.ts'
import { ADMIN, type Roles } from '../tokens/roles.ts'
import type { AdminStore, Changed, OperatorChange } from './store.ts'

const LISTED_SESSIONS = 100

const CURSOR_PREFIX = 'below_'

export interface AdminParts {
  readonly store: AdminStore
  readonly accounts: Pick<AccountStore, 'find'>
  readonly sessions: Pick<SessionStore, 'list' | 'end'>
  readonly roles: Pick<Roles, 'names'>
  readonly revocations: Pick<Revocations, 'apply'>
  readonly throttle: Pick<Throttle, 'reset' | 'blockedUntil'>
  readonly trail: Trail
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** Who does something to somebody else's account, and from where. */
export interface Operator {
  /** The id of their account, or COMMAND_LINE. */
  readonly actor: string
  /** Undefined on the command line. */
  readonly client: Client | undefined
}

/** What is asked for of the list of accounts. */
export interface ListWish extends PageWish {
  /** What stands somewhere in the address or the name, in any case; or the whole id. */
  readonly text?: string | undefined
  readonly role?: string | undefined
  readonly status?: AccountStatus | undefined
}

export interface AccountPage {
  readonly accounts: readonly Account[]
  /** What the next page is asked for with; null if there is none. */
  readonly nextCursor: string | null
}

export interface AccountDetails {
  readonly account: Account
  readonly sessions: readonly Session[]
  /**
   * Until when nobody may try its password from an address that hasn't logged in before, in milliseconds since 1970;
   * undefined where somebody may.
   */
  readonly loginBlockedUntil: number | undefined
}

/** What another credential of a service account is for. */
export interface CredentialWish {
  readonly scopes: readonly string[]
  /** What tells it from the others; the account's name, or its id, unless it is given. */
  readonly label?: string | undefined
  /** Seconds for which it is good; undefined is without an end. */
  readonly ttl?: number | undefined
}

export type Admin = ReturnType<typeof createAdmin>

/** The rules of what an operator may do to accounts and their sessions. */
export function createAdmin(parts: AdminParts) {
  const { store, accounts, sessions, roles, revocations, throttle, trail, clock } = parts

  async function requireAccount(id: string): Promise<Account> {
    const account = await accounts.find(id)
    if (account === undefined) throw noAccount()
    return account
  }

  /** @throws Problem invalid_request that names each role there isn't */
  function checkRoles(given: readonly (readonly [path: string, role: string])[]): void {
    const errors = given
      .filter(([, role]) => !roles.names.includes(role))
      .map(([path]) => ({ path, message: `must be one of ${roles.names.join(', ')}` }))
    if (errors.length > 0) throw new Problem('invalid_request', { errors })
  }

  return {
    /**
     * What every request of an operator asks, beside what its token says: whether the account still has the role.
     * Another node may have taken it away this very moment.
     *
     * @throws Problem token_stale
     */
    async requireAdmin({ sub }: Pick<Claims, 'sub'>): Promise<void> {
      const account = await accounts.find(sub)
      if (!account?.roles.includes(ADMIN)) throw new Problem('token_stale')
    },

    /**
     * A page of accounts, the newest first.
     *
     * @throws Problem invalid_request for a role that isn't there, or a cursor that no page gave
     */
    async list({ cursor, limit, ...filter }: ListWish, operator: Operator): Promise<AccountPage> {
      if (filter.role !== undefined) checkRoles([['role', filter.role]])
      const { rows, nextCursor } = await findPage(CURSOR_PREFIX, { cursor, limit }, (below, count) =>
        store.find(filter, below, count),
      )
      await trail.record('accounts_listed', operator.client, {
        actor: operator.actor,
        accounts: rows.length,
      })
      return { accounts: rows, nextCursor }
    },

    /**
     * An account, and its sessions and credentials: the last used first, at most a hundred.
     *
     * @throws Problem not_found
     */
    async read(id: string, operator: Operator): Promise<AccountDetails> {
      const account = await requireAccount(id)
      const open = await sessions.list(id, clock(), LISTED_SESSIONS)
      const loginBlockedUntil = await throttle.blockedUntil(emailKey(account.email))
      await trail.record('account_read', operator.client, { actor: operator.actor, subject: id })
      return { account, sessions: open, loginBlockedUntil }
    },

    /**
     * Changes status, roles or name. Who is disabled is refused at once, and whose roles changed has to refresh; on
     * other nodes within a second.
     *
     * @returns the account as it is now
     * @throws Problem not_found; last_admin; invalid_request for a role that isn't there
     */
    async change(id: string, change: OperatorChange, operator: Operator): Promise<Account> {
      checkRoles((change.roles ?? []).map((role, index) => [`roles.${index}`, role]))
      const done = await store.change(id, change, clock(), async (tx, changed) => {
        for (const [event, fields] of eventsOf(changed)) {
          await trail.recordIn(tx, event, operator.client, { actor: operator.actor, subject: id, ...fields })
        }
      })
      if (done === undefined) throw noAccount()
      revocations.apply(done.revocations)
      return done.after
    },

    /**
     * Ends sessions and credentials of an account.
     *
     * @param sessionId the one to end; all of them unless it is given
     * @returns how many ended
     * @throws Problem not_found if there is no such account, or no such session of it
     */
    async signOut(id: string, operator: Operator, sessionId?: string): Promise<number> {
      await requireAccount(id)
      const which = sessionId === undefined ? 'all' : { only: sessionId }
      const ended = await sessions.end(id, which, clock(), async (tx, { count }) => {
        if (sessionId !== undefined && count === 0) {
          throw new Problem('not_found', { detail: 'The account has no such session.' })
        }
        await trail.recordIn(tx, 'account_signed_out', operator.client, {
          actor: operator.actor,
          subject: id,
          ...(sessionId !== undefined && { session_id: sessionId }),
          sessions_ended: count,
        })
      })
      revocations.apply(ended.revocations)
      return ended.count
    },

    /**
     * Forgets the failed attempts at an account, so that its owner may try again at once.
     *
     * @throws Problem not_found
     */
    async resetAttempts(id: string, { actor, client }: Operator): Promise<void> {
      const { email } = await requireAccount(id)
      await throttle.reset({ id, emailKey: emailKey(email) }, (tx) =>
        trail.recordIn(tx, 'attempts_reset', client, { actor, subject: id }),
      )
    },

    /**
     * Makes another credential for a service account.
     *
     * @returns its id, and the credential itself: it is shown this once
     * @throws Problem not_found, account_disabled; invalid_request for a person
     */
    async addCredential(
      id: string,
      { scopes, label, ttl }: CredentialWish,
      operator: Operator,
    ): Promise<{ readonly id: string; readonly credential: string }> {
      const account = await requireAccount(id)
      if (account.kind === 'person') {
        throw new Problem('invalid_request', { detail: 'Only a service account has credentials.' })
      }
      const purpose = { accountId: id, scopes, label: label ?? account.name ?? id, ttl }
      const { row, credential } = newCredential(purpose, clock())
      const fields = { actor: operator.actor, subject: id, session_id: row.id, scopes }
      const isStored = await store.addCredential(row, (tx) =>
        trail.recordIn(tx, 'credential_created', operator.client, fields),
      )
      if (!isStored) throw new Problem('account_disabled')
      return { id: row.id, credential }
    },
  }
}

function eventsOf({ before, after, sessionsEnded }: Changed): [SecurityEvent, EventFields][] {
  const events: [SecurityEvent, EventFields][] = []
  if (before.status !== after.status) {
    const disabled = after.status === 'disabled'
    events.push(disabled ? ['account_disabled', { sessions_ended: sessionsEnded }] : ['account_enabled', {}])
  }
  if (before.roles.join(' ') !== after.roles.join(' ')) {
    events.push(['account_roles_changed', { roles_before: before.roles, roles_after: after.roles }])
  }
  if (before.name !== after.name) events.push(['account_renamed', {}])
  return events
}

function noAccount(): Problem {
  return new Problem('not_found', { detail: 'There is no such account.' })
}
