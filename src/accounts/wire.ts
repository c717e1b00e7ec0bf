import type { z } from 'zod'
import type { AccountBody } from './schemas.ts'
import type { Account } from './store.ts'

/** An account as it goes over the wire. */
export function accountBody(account: Account): z.input<typeof AccountBody> {
  return {
    id: account.id,
    email: account.email,
    name: account.name,
    roles: [...account.roles],
    status: account.status,
    created_at: new Date(account.createdAt).toISOString(),
    updated_at: new Date(account.updatedAt).toISOString(),
  }
}
