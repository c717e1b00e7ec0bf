import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { Account } from '../../src/accounts/store.ts'
import type { NewSession } from '../../src/sessions/store.ts'

/** A moment, in milliseconds since 1970. */
export const NOON = Date.UTC(2026, 0, 1, 12)

/** An account as the store takes it. Its password hash is only a text: the store never looks inside. */
export function someAccount(differing: Partial<Account> = {}): Account {
  const id = randomUUIDv7()
  return {
    id,
    kind: 'person',
    email: `${id}@example.com`,
    name: null,
    status: 'active',
    roles: ['user'],
    passwordHash: 'the first hash',
    createdAt: NOON,
    updatedAt: NOON,
    ...differing,
  }
}

/** A session of an account as the store takes it, good for an hour. */
export function someSession(accountId: string, differing: Partial<NewSession> = {}): NewSession {
  return {
    id: randomUUIDv7(),
    account_id: accountId,
    seal_key: randomBytes(32),
    secret_hash: randomBytes(32),
    rotation_salt: null,
    rotated_at: NOON,
    created_at: NOON,
    last_used_at: NOON,
    expires_at: NOON + 3_600_000,
    ip: '192.0.2.1',
    user_agent: null,
    ...differing,
  }
}

/** What is done in a store's transaction beside what the store does. */
export const nothing = async (): Promise<void> => {}
