import { emailKey } from '../email.ts'
import type { Client, RecordEvent } from '../events.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { PasswordPolicy } from '../passwords/policy.ts'
import { withPassword } from '../passwords/proof.ts'
import { Problem } from '../problem.ts'
import type { Tokens } from '../sessions/issue.ts'
import type { Sessions } from '../sessions/sessions.ts'
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
  readonly record: RecordEvent
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
  const { store, registration, sessions, passwords, policy, revocations, record, clock } = parts

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
    return withPassword(passwords, password, find, act, () => {
      record('password_check_failed', client, { account_id: bearer.sub, session_id: bearer.sid })
    })
  }

  return {
    /**
     * Makes an account and opens its first session.
     *
     * @throws Problem password_too_weak, email_taken, overloaded
     */
    async signUp(applicant: Applicant, client: Client): Promise<{ account: Account; tokens: Tokens }> {
      const account = await registration.draft(applicant, [USER])
      const { row, tokens } = sessions.draft(account, {}, client, account.createdAt)
      await registration.save(account, row)
      record('signup', client, { account_id: account.id, session_id: row.id })
      return { account, tokens }
    },

    /** @throws Problem token_revoked if the account is gone */
    async read({ sub }: Bearer): Promise<Account> {
      return requireAccount(sub)
    },

    /**
     * Changes name, address or both.
     *
     * @param password the account's password: a change of the address needs it, and if it is given it has to be right
     * @throws Problem invalid_credentials, email_taken, overloaded, token_revoked
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
      const account =
        password === undefined
          ? await store.change(bearer.sub, change, clock())
          : await proved(bearer, password, client, ({ passwordHash }) =>
              store.change(bearer.sub, change, clock(), passwordHash),
            )
      if (account === undefined) throw new Problem('token_revoked')
      if (account === 'email_taken') throw new Problem('email_taken')
      if (email !== undefined) {
        record('email_changed', client, { account_id: bearer.sub, session_id: bearer.sid })
      }
      return account
    },

    /**
     * Changes the password and ends every other session of the account.
     *
     * @throws Problem invalid_credentials, password_too_weak, overloaded, token_revoked
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
        return store.changePassword(bearer.sub, change, clock())
      })
      revocations.apply(ended.revocations)
      record('password_changed', client, {
        account_id: bearer.sub,
        session_id: bearer.sid,
        sessions_ended: ended.count,
      })
    },

    /**
     * Erases the account and ends all of its sessions.
     *
     * @throws Problem invalid_credentials, last_admin, overloaded, token_revoked
     */
    async erase(bearer: Bearer, password: string, client: Client): Promise<void> {
      const ended = await proved(bearer, password, client, ({ passwordHash }) =>
        store.erase(bearer.sub, passwordHash, clock()),
      )
      revocations.apply(ended.revocations)
      record('account_deleted', client, { account_id: bearer.sub, sessions_ended: ended.count })
    },
  }
}
