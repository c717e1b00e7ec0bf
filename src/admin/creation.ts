import type { Applicant, Registration } from '../accounts/registration.ts'
import type { Trail } from '../audit/trail.ts'
import { newCredential } from '../sessions/credentials.ts'
import type { Operator } from './admin.ts'

export interface CreationParts {
  readonly registration: Registration
  readonly trail: Trail
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** What a service account and its first credential are made of. */
export interface ServiceWish {
  readonly name: string
  readonly roles: readonly string[]
  readonly scopes: readonly string[]
  /** Seconds for which the credential is good; undefined is without an end. */
  readonly ttl?: number | undefined
}

/** How an operator makes accounts. */
export function createCreation({ registration, trail, clock }: CreationParts) {
  return {
    /**
     * Makes the account of a person.
     *
     * @returns its id
     * @throws Problem password_too_weak, email_taken
     */
    async person(applicant: Applicant, roles: readonly string[], operator: Operator): Promise<string> {
      registration.check(applicant)
      const account = await registration.draft(applicant, roles)
      const fields = { actor: operator.actor, subject: account.id, roles_after: account.roles }
      await registration.save(account, undefined, (tx) =>
        trail.recordIn(tx, 'account_created', operator.client, fields),
      )
      return account.id
    },

    /**
     * Makes the account of a service, and its first credential with it.
     *
     * @returns the ids, and the credential itself: it is shown this once
     */
    async service({ name, roles, scopes, ttl }: ServiceWish, operator: Operator) {
      const { actor, client } = operator
      const account = registration.draftService(name, roles)
      const purpose = { accountId: account.id, scopes, label: name, ttl }
      const { row, credential } = newCredential(purpose, clock())
      const fields = { actor, subject: account.id }
      await registration.save(account, row, async (tx) => {
        await trail.recordIn(tx, 'account_created', client, { ...fields, roles_after: roles })
        await trail.recordIn(tx, 'credential_created', client, { ...fields, session_id: row.id, scopes })
      })
      return { accountId: account.id, credentialId: row.id, credential }
    },
  }
}
