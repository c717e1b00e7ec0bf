import { randomUUIDv7 } from 'node:crypto'
import type { Db } from '../../src/database/schema.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { NOON } from './rows.ts'
import { CHEAP_ARGON2, PASSWORD } from './service.ts'

/**
 * Accounts that a stranger must not tell apart by guessing: one like any other, one that is disabled, two whose hashes
 * were made when less memory or fewer passes were asked for, and one that there isn't.
 */
export const kinds = ['known', 'disabled', 'less-memory', 'fewer-passes', 'unknown'] as const
export type AccountOfKind = (typeof kinds)[number]

/** The address of an account of the kind, by its number. */
export const emailOf = (kind: AccountOfKind, number = 0) => `${kind}${number}@example.com`

/**
 * Makes so many accounts of each kind that there is, with PASSWORD.
 *
 * @param costs of a hash that is made today
 */
export async function createKinds(
  db: Db,
  count = 1,
  { memoryKib, passes } = { memoryKib: 2 * CHEAP_ARGON2.memoryKib, passes: CHEAP_ARGON2.passes },
): Promise<void> {
  const hash = async (memoryKib: number, passes: number) =>
    (await createPasswords({ ...CHEAP_ARGON2, memoryKib, passes })).hash(PASSWORD)
  const differing = {
    known: { password_hash: await hash(memoryKib, passes), status: 'active' },
    disabled: { password_hash: await hash(memoryKib, passes), status: 'disabled' },
    'less-memory': { password_hash: await hash(memoryKib / 2, passes), status: 'active' },
    'fewer-passes': { password_hash: await hash(memoryKib, passes / 2), status: 'active' },
  } as const
  for (const [kind, columns] of Object.entries(differing)) {
    const rows = Array.from({ length: count }, (_, number) => {
      const email = emailOf(kind as AccountOfKind, number)
      const times = { created_at: NOON, updated_at: NOON }
      return { id: randomUUIDv7(), email, email_key: email, name: null, ...columns, ...times }
    })
    await db.insertInto('accounts').values(rows).execute()
    const roles = rows.map(({ id }) => ({ account_id: id, role: 'user' }))
    await db.insertInto('account_roles').values(roles).execute()
  }
}
