import type { Client, EventFields, SecurityEvent } from '../audit/events.ts'
import type { Trail } from '../audit/trail.ts'
import type { Tx } from '../database/schema.ts'
import { emailKey } from '../email.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { PasswordPolicy } from '../passwords/policy.ts'
import { withPassword } from '../passwords/proof.ts'
import { Problem } from '../problem.ts'
import type { Tokens } from '../sessions/issue.ts'
import type { Sessions } from '../sessions/sessions.ts'
import { placeOf } from '../throttling/networks.ts'
import type { Attempt, Throttle } from '../throttling/throttle.ts'
import type { Claims } from '../tokens/claims.ts'
import type { Revocations } from '../tokens/revocations.ts'
import { USER } from '../tokens/roles.ts'
import type { Applicant, Registration } from './registration.ts'
import type { Account, AccountStore } from './store.ts'

export interface AccountsParts {
  readonly store: AccountStore
  readonly registration: Registration
  readonly sessions: Sessions
  readonly passwords: Passwords
  readonly policy: PasswordPolicy
  readonly revocations: Revocations
  readonly throttle: Throttle
  readonly trail: Trail
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** What an account may change of itself; null removes the name. The address is normalized. */
export interface ProfileChange {
  readonly name?: string | null | undefined
  readonly email?: string | undefined
}

type Bearer = Pick<Claims, 'sub' | 'sid'>

export type Accounts = ReturnType<typeof createAccounts>

/** The rules of who you are: sign up, read, change, delete. */
export function createAccounts(parts: AccountsParts) {
  const { store, registration, sessions, passwords, policy, revocations, throttle, trail, clock } = parts

  // The token verified, so its account was there: that it is gone means that the session is.
  async function requireAccount(id: string): Promise<Account> {
    const account = await store.find(id)
    if (account === undefined) throw new Problem('token_revoked')
    return account
  }

  /** Like withPassword(), for the bearer's own account; a wrong password is recorded. */
  async function proved<Result>(
    bearer: Bearer,
    password: string,
    client: Client,
    act: (account: Account) => Promise<Result | undefined>,
  ): Promise<Result> {
    // A service has no password to prove.
    const find = async () => {
      const account = await requireAccount(bearer.sub)
      return account.kind === 'person' ? account : undefined
    }
    const tryOnce = ({ succeeded, failed }: Attempt) => {
      const actOnce = async (account: Account) => {
        await succeeded()
        return act(account)
      }
      return withPassword(passwords, password, find, actOnce, () =>
        failed((tx, failures) => say(tx, 'password_check_failed', bearer, client, { failures })),
      )
    }
    return passwords.admit('bearer', bearer.sub, () => throttle.prove(bearer, client, tryOnce))
  }

  function say(
    tx: Tx,
    event: SecurityEvent,
    { sub, sid }: Bearer,
    client: Client,
    fields: EventFields = {},
  ): Promise<void> {
    return trail.recordIn(tx, event, client, { account_id: sub, session_id: sid, ...fields })
  }

  return {
    /**
     * Makes an account and opens its first session.
     *
     * @throws Problem password_too_weak, too_many_attempts, email_taken, overloaded
     */
    async signUp(applicant: Applicant, client: Client): Promise<{ account: Account; tokens: Tokens }> {
      registration.check(applicant)
      return passwords.admit('stranger', placeOf(client), async () => {
        await throttle.signUp(client)
        const account = await registration.draft(applicant, [USER])
        const { row, tokens } = sessions.draft(account, {}, client, account.createdAt)
        await registration.save(account, row, async (tx) => {
          await throttle.familiarize(tx, emailKey(account.email), client)
          await say(tx, 'signup', { sub: account.id, sid: row.id }, client)
        })
        return { account, tokens }
      })
    },

    /** @throws Problem token_revoked if the account is gone */
    async read({ sub }: Bearer): Promise<Account> {
      return requireAccount(sub)
    },

    /**
     * Changes name, address or both.
     *
     * @param password the account's password: a change of the address needs it, and if it is given it has to be right
     * @throws Problem invalid_credentials, too_many_attempts, email_taken, overloaded, token_revoked
     */
    async change(
      bearer: Bearer,
      { name, email }: ProfileChange,
      password: string | undefined,
      client: Client,
    ): Promise<Account> {
      const change = {
        name,
        email: email === undefined ? undefined : { address: email, key: emailKey(email) },
      }
      const tell = async (tx: Tx) => {
        if (email !== undefined) await say(tx, 'email_changed', bearer, client)
      }
      const account =
        password === undefined
          ? await store.change(bearer.sub, change, clock(), tell)
          : await proved(bearer, password, client, async ({ passwordHash, email: before }) => {
              // That an address is taken can be found out this way as by a sign-up.
              if (email !== undefined) await throttle.signUp(client)
              const tellAll = async (tx: Tx) => {
                if (email !== undefined) {
                  await throttle.estrange(tx, emailKey(before))
                  await throttle.familiarize(tx, emailKey(email), client)
                }
                await tell(tx)
              }
              return store.change(bearer.sub, change, clock(), tellAll, passwordHash)
            })
      if (account === undefined) throw new Problem('token_revoked')
      if (account === 'email_taken') throw new Problem('email_taken')
      return account
    },

    /**
     * Changes the password and ends every other session of the account.
     *
     * @throws Problem invalid_credentials, too_many_attempts, password_too_weak, overloaded, token_revoked
     */
    async changePassword(
      bearer: Bearer,
      { current, next }: { readonly current: string; readonly next: string },
      client: Client,
    ): Promise<void> {
      const ended = await proved(bearer, current, client, async (account) => {
        policy.check(next, [account.email, account.name], 'new_password')
        const newHash = await passwords.hash(next)
        const change = { provedHash: account.passwordHash, newHash, keptSession: bearer.sid }
        return store.changePassword(bearer.sub, change, clock(), async (tx, { count }) => {
          // Whoever knew the old one may have made their networks familiar.
          await throttle.estrange(tx, emailKey(account.email))
          await throttle.familiarize(tx, emailKey(account.email), client)
          await say(tx, 'password_changed', bearer, client, { sessions_ended: count })
        })
      })
      revocations.apply(ended.revocations)
    },

    /**
     * Erases the account and ends all of its sessions.
     *
     * @throws Problem invalid_credentials, too_many_attempts, last_admin, overloaded, token_revoked
     */
    async erase(bearer: Bearer, password: string, client: Client): Promise<void> {
      const ended = await proved(bearer, password, client, ({ passwordHash, email }) =>
        store.erase(bearer.sub, passwordHash, clock(), async (tx, { count }) => {
          await throttle.estrange(tx, emailKey(email))
          await say(tx, 'account_deleted', bearer, client, { sessions_ended: count })
        }),
      )
      revocations.apply(ended.revocations)
    },
  }
}
