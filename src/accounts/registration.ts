import { randomUUIDv7 } from 'node:crypto'
import type { Within } from '../database/transaction.ts'
import { emailKey } from '../email.ts'
import type { Passwords } from '../passwords/passwords.ts'
import type { PasswordPolicy } from '../passwords/policy.ts'
import { Problem } from '../problem.ts'
import type { NewSession } from '../sessions/store.ts'
import type { Account, AccountStore } from './store.ts'

export interface RegistrationParts {
  readonly store: AccountStore
  readonly passwords: Passwords
  readonly policy: PasswordPolicy
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** Who somebody says to be when an account is made. The address is normalized. */
export interface Applicant {
  readonly email: string
  readonly password: string
  readonly name: string | null
}

export type Registration = ReturnType<typeof createRegistration>

/** How accounts come to be, by sign-up or by an operator. */
export function createRegistration({ store, passwords, policy, clock }: RegistrationParts) {
  return {
    /** Checks what can be said of an applicant without knowing anybody. @throws Problem password_too_weak */
    check({ email, password, name }: Applicant): void {
      policy.check(password, [email, name], 'password')
    },

    /**
     * Makes the account of an applicant who was checked, in memory. Whatever is quick to refuse is refused before the
     * slow hash.
     *
     * @throws Problem email_taken
     */
    async draft({ email, password, name }: Applicant, roles: readonly string[]): Promise<Account> {
      if (await store.isTaken(emailKey(email))) throw new Problem('email_taken')
      const passwordHash = await passwords.hash(password)
      const now = clock()
      return {
        id: randomUUIDv7(),
        kind: 'person',
        ...{ email, name, roles, passwordHash },
        status: 'active',
        createdAt: now,
        updatedAt: now,
      }
    },

    /** Makes the account of a service, in memory. It has no address and no password: what lets it in are credentials. */
    draftService(name: string, roles: readonly string[]): Account {
      const now = clock()
      return {
        id: randomUUIDv7(),
        kind: 'service',
        ...{ name, roles, email: '', passwordHash: '' },
        status: 'active',
        createdAt: now,
        updatedAt: now,
      }
    },

    /**
     * Stores the account, and with it its first session if there is one.
     *
     * @throws Problem email_taken if another sign-up came first
     */
    async save(account: Account, session: NewSession | undefined, within: Within): Promise<void> {
      const isStored = await store.create(account, keyOf(account), session, within)
      if (!isStored) throw new Problem('email_taken')
    },
  }
}

// A service has none to be looked up by. No address has a key without an @, so no login can name it.
function keyOf({ kind, id, email }: Account): string {
  return kind === 'service' ? `service:${id}` : emailKey(email)
}
