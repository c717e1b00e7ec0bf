import { Kysely, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import { accountsAndSessions } from '../../src/database/migrations/0001-accounts-and-sessions.ts'
import { dialectOf } from '../../src/database/open.ts'
import { postgresDialect } from '../../src/database/postgres.ts'
import type { Schema } from '../../src/database/schema.ts'
import { sqliteDialect } from '../../src/database/sqlite.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { firstToken, formatRefreshToken } from '../../src/sessions/refresh-token.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { someAccount, someSession } from '../helpers/rows.ts'
import { CHEAP_ARGON2, createService, databases, PASSWORD } from '../helpers/service.ts'

/** A database as version 0.1.0 left it. */
async function openAsFirstVersion(url: string): Promise<Kysely<Schema>> {
  const kind = dialectOf(url)
  const options = { url, poolSize: 2, onIdleError: () => {} }
  const dialect = kind === 'sqlite' ? sqliteDialect(url, 1_000) : postgresDialect(options, 1_000)
  const db = new Kysely<Schema>({ dialect })
  const migrator = new Migrator({
    db,
    provider: {
      getMigrations: async () => ({ '0001-accounts-and-sessions': accountsAndSessions(kind) }),
    },
    migrationTableName: 'latchkey_migrations',
    migrationLockTableName: 'latchkey_migrations_lock',
  })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
  return db
}

for (const kind of databases) {
  t.test(`who was signed in before an upgrade stays signed in, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const first = await openAsFirstVersion(url)
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
  const first = await openAsFirstVersion(url)
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
