import { Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import type { Account } from '../../src/accounts/store.ts'
import { accountsAndSessions } from '../../src/database/migrations/0001-accounts-and-sessions.ts'
import { revocations } from '../../src/database/migrations/0002-revocations.ts'
import { dialectOf } from '../../src/database/open.ts'
import { postgresDialect } from '../../src/database/postgres.ts'
import type { Dialect, Schema } from '../../src/database/schema.ts'
import { sqliteDialect } from '../../src/database/sqlite.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { firstToken, formatRefreshToken } from '../../src/sessions/refresh-token.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { someAccount, someSession } from '../helpers/rows.ts'
import { CHEAP_ARGON2, createService, databases, PASSWORD } from '../helpers/service.ts'

/** A database as it was while these were all the migrations there were. */
async function openAsOf(url: string, names: readonly (keyof ReturnType<typeof earlier>)[]) {
  const kind = dialectOf(url)
  const options = { url, poolSize: 2, onIdleError: () => {} }
  const dialect = kind === 'sqlite' ? sqliteDialect(url, 1_000) : postgresDialect(options, 1_000)
  const db = new Kysely<Schema>({ dialect })
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () => Object.fromEntries(names.map((name) => [name, earlier(kind)[name]])),
    },
    migrationTableName: 'latchkey_migrations',
    migrationLockTableName: 'latchkey_migrations_lock',
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
  return db
}

const earlier = (kind: Dialect) => ({
  '0001-accounts-and-sessions': accountsAndSessions(kind),
  '0002-revocations': revocations(kind),
})

for (const kind of databases) {
  t.test(`who was signed in before an upgrade stays signed in, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const first = await openAsOf(url, ['0001-accounts-and-sessions'])
    const now = Date.now()
    const { hash } = await createPasswords(CHEAP_ARGON2)
    const { id, email } = someAccount()
    const password_hash = await hash(PASSWORD)
    const account = {
      ...{ id, email, email_key: email, name: 'Ada', password_hash },
      status: 'active' as const,
    }
    await first
      .insertInto('accounts')
      .values({ ...account, created_at: now, updated_at: now })
      .execute()
    await first.insertInto('account_roles').values({ account_id: id, role: 'user' }).execute()
    const session = someSession(id, { created_at: now, expires_at: now + 3_600_000 })
    const { token, keys } = firstToken(session.id)
    await first
      .insertInto('sessions')
      .values({ ...session, ...keys })
      .execute()
    await first.destroy()

    const service = await createService(t, { database: await openAsNode(t, url) })
    const body = { refresh_token: formatRefreshToken(token) }
    const refreshed = await service.send('POST', '/auth/refresh', { body })
    t.equal(refreshed.statusCode, 200, refreshed.body)
    t.equal(refreshed.json().scope, 'account')
    const me = await service.send('GET', '/me', { token: refreshed.json().access_token })
    t.match(me.json(), { sub: id, sid: session.id, roles: ['user'] })
    const logIn = { email, password: PASSWORD }
    t.equal((await service.send('POST', '/auth/login', { body: logIn })).statusCode, 200)

    const rows = await service.database.db.selectFrom('sessions').select(['kind', 'scope']).execute()
    t.same(rows, [
      { kind: 'login', scope: null },
      { kind: 'login', scope: null },
    ])
    t.same(await service.database.db.selectFrom('accounts').select('kind').execute(), [{ kind: 'person' }])
  })
}

t.test('an upgrade and a login of a node that runs meanwhile both succeed', async (t) => {
  const url = await emptyDatabase(t, 'postgres')
  const first = await openAsOf(url, ['0001-accounts-and-sessions'])
  t.teardown(() => first.destroy())
  const { id, email } = someAccount()
  const times = { created_at: 1, updated_at: 1 }
  await first
    .insertInto('accounts')
    .values({ ...times, id, email, email_key: email, password_hash: 'a hash', status: 'active' })
    .execute()

  // A login of an old node: the account's row, and then its session.
  const upgrade = await first.transaction().execute(async (tx) => {
    await tx.updateTable('accounts').set({ password_hash: 'another hash' }).where('id', '=', id).execute()
    const database = openAsNode(t, url)
    database.catch(() => {})
    await poll('the upgrade to wait', async () => {
      const { rows } = await sql`
        select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
      `.execute(first)
      return rows.length > 0
    })
    await tx.insertInto('sessions').values(someSession(id)).execute()
    return { database }
  })
  const { db } = await upgrade.database
  t.same(await db.selectFrom('sessions').select('kind').execute(), [{ kind: 'login' }])
})

const BEFORE_THE_TRAIL = ['0001-accounts-and-sessions', '0002-revocations'] as const

for (const kind of databases) {
  t.test(`the audit trail begins with the upgrade that brings it, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const old = await openAsOf(url, BEFORE_THE_TRAIL)
    const { hash } = await createPasswords(CHEAP_ARGON2)
    const account = someAccount({ passwordHash: await hash(PASSWORD) })
    await insertAccount(old, account)
    await old.destroy()

    const service = await createService(t, { database: await openAsNode(t, url) })
    const events = () => service.database.db.selectFrom('audit_events').select(['event', 'subject']).execute()
    t.same(await events(), [])
    const body = { email: account.email, password: PASSWORD }
    t.equal((await service.send('POST', '/auth/login', { body })).statusCode, 200)
    t.same(await events(), [{ event: 'login', subject: account.id }])
  })
}

t.test('the audit trail is brought without waiting for nodes that run meanwhile, which go on', async (t) => {
  const url = await emptyDatabase(t, 'postgres')
  const old = await openAsOf(url, BEFORE_THE_TRAIL)
  t.teardown(() => old.destroy())
  const account = someAccount()
  await insertAccount(old, account)
  const { id } = account
  const rename = (db: Kysely<Schema>, name: string) =>
    db.updateTable('accounts').set({ name }).where('id', '=', id).execute()

  // As an old node locks them: the account, its sessions, the head of revocations.
  await old.transaction().execute(async (tx) => {
    await rename(tx, 'Ada')
    await tx.insertInto('sessions').values(someSession(id)).execute()
    await tx.updateTable('revocation_head').set({ seq: 1 }).execute()
    const { db } = await openAsNode(t, url)
    t.same(await db.selectFrom('audit_events').select('id').execute(), [], 'it is there')
  })
  await rename(old, 'Grace')
  await old.deleteFrom('accounts').execute()
  t.same(await old.selectFrom('sessions').select('id').execute(), [])
})

async function insertAccount(db: Kysely<Schema>, { id, email, passwordHash }: Account): Promise<void> {
  const times = { created_at: 1, updated_at: 1 }
  await db
    .insertInto('accounts')
    .values({ ...times, id, email, email_key: email, password_hash: passwordHash, status: 'active' })
    .execute()
}
