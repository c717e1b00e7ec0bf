import { Kysely } from 'kysely'
import type { Test } from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { postgresDialect } from '../../src/database/postgres.ts'
import type { Db, Schema } from '../../src/database/schema.ts'
import { sqliteDialect } from '../../src/database/sqlite.ts'
import type { Target } from './kill-targets.ts'
import { newUser, type Step, sendInTime, type User } from './killed-user.ts'
import { someAccount } from './rows.ts'
import { type DatabaseName, PASSWORD } from './service.ts'

// Milliseconds: whoever looks at the database has time, as the machine is busy.
const PATIENCE = 60_000

/** A database and what is known of it. */
export interface Site {
  readonly kind: DatabaseName
  readonly db: Db
  readonly admin: string
  readonly clients: Client[]
}

/** Somebody whose writes are cut. */
export interface Client {
  user: User
  /** What was sent and not answered. */
  cut: Step | undefined
  erased: { readonly id: string; readonly events: readonly string[] } | undefined
}

// As src/database/open.ts does it, but for a client that may wait: the machine is busy.
function openPatiently(t: Test, kind: DatabaseName, url: string): Db {
  const options = { url, poolSize: 6, onIdleError: () => {} }
  const dialect = kind === 'sqlite' ? sqliteDialect(url, PATIENCE) : postgresDialect(options, PATIENCE)
  const db = new Kysely<Schema>({ dialect })
  t.teardown(() => db.destroy())
  return db
}

/** A database with an operator, and with clients of whom none has signed up. @param target through which that is done */
export async function createSite(
  t: Test,
  kind: DatabaseName,
  url: string,
  target: Target,
  count: number,
): Promise<Site> {
  const db = openPatiently(t, kind, url)
  const ask = (path: string, body: object) => sendInTime(target.urls[kind], target.agent, { path, body })
  const email = 'root@example.com'
  const signedUp = Object((await ask('/auth/signup', { email, password: PASSWORD })).body)
  await db.insertInto('account_roles').values({ account_id: signedUp.account.id, role: 'admin' }).execute()
  const body = { refresh_token: signedUp.tokens.refresh_token }
  const admin = Object((await ask('/auth/refresh', body)).body).access_token
  const clients = Array.from({ length: count }, async () => {
    const service = someAccount({ kind: 'service', email: '', passwordHash: '', name: 'billing', roles: [] })
    await createAccountStore(db).create(service, `service:${service.id}`, undefined, async () => {})
    return { user: newUser(service.id, 0, []), cut: undefined, erased: undefined }
  })
  return { kind, db, admin, clients: await Promise.all(clients) }
}
