import { DatabaseSync } from 'node:sqlite'
import { sql } from 'kysely'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/database/open.ts'
import { Problem } from '../../src/problem.ts'
import { createPostgresDatabase } from '../helpers/postgres.ts'
import { startCli } from '../helpers/process.ts'
import { type DatabaseName, databases } from '../helpers/service.ts'

const onIdleError = () => {}
const migrations = ['0001-accounts-and-sessions', '0002-revocations', '0003-audit-and-attempts']

/** Where an empty database is. */
async function emptyDatabase(t: Test, kind: DatabaseName): Promise<string> {
  if (kind === 'sqlite') return `file:${t.testdir()}/latchkey.db`
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  return url
}

async function open(t: Test, url: string) {
  const database = await openDatabase({ url, poolSize: 2, onIdleError })
  t.teardown(() => database.close())
  return database
}

async function appliedMigrations(database: Awaited<ReturnType<typeof open>>): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from latchkey_migrations`.execute(database.db)
  return rows.map((row) => row.name)
}

async function execute(url: string, statement: string): Promise<void> {
  if (url.startsWith('file:')) {
    const database = new DatabaseSync(url.slice('file:'.length))
    database.exec(statement)
    database.close()
    return
  }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(statement)
  await client.end()
}

for (const kind of databases) {
  t.test(`an empty database is brought up to date once, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const first = await openDatabase({ url, poolSize: 2, onIdleError })
    t.same(await appliedMigrations(first), migrations)
    await sql`
      insert into accounts (id, email, email_key, password_hash, status, created_at, updated_at)
      values ('0199b3a0-0000-7000-8000-000000000000', 'a@example.com', 'a@example.com', '', 'active', 1, 1)
    `.execute(first.db)
    await first.close()

    const second = await open(t, url)
    t.same(await appliedMigrations(second), migrations)
    t.equal((await second.db.selectFrom('accounts').selectAll().execute()).length, 1, 'what was there stays')
  })

  t.test(`several processes that start at once migrate once, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const nodes = Array.from({ length: 4 }, () =>
      startCli(t, ['migrate'], { env: { DATABASE_URL: url, LOG_LEVEL: 'silent' } }),
    )
    for (const node of nodes) {
      const { code } = await node.ended(30_000)
      t.equal(code, 0, node.stderr())
    }
    t.same(await appliedMigrations(await open(t, url)), migrations)
  })

  t.test(`a migration that fails leaves nothing half done, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    // The last table of the migration is in the way.
    await execute(url, 'create table sessions (id integer)')
    const error = await openDatabase({ url, poolSize: 2, onIdleError }).catch((error) => error)
    t.match(error, { message: /sessions.* already exists/ })
    t.notOk(error instanceof Problem, 'that is no fault of the moment')

    await execute(url, 'drop table sessions')
    const database = await open(t, url)
    t.same(await database.db.selectFrom('accounts').selectAll().execute(), [])
    t.same(await database.db.selectFrom('sessions').selectAll().execute(), [])
  })

  t.test(`a database can be closed and then no longer answers, on ${kind}`, async (t) => {
    const database = await openDatabase({ url: await emptyDatabase(t, kind), poolSize: 2, onIdleError })
    await database.ping()
    await database.close()
    await t.rejects(database.ping())
  })
}

// node:sqlite is synchronous: in one process a connection that waits for another's lock would keep it from letting go.
t.test('several that open in one process migrate once, on postgres', async (t) => {
  const url = await emptyDatabase(t, 'postgres')
  const opened = await Promise.all(Array.from({ length: 5 }, () => open(t, url)))
  for (const database of opened) {
    t.same(await appliedMigrations(database), migrations)
    await database.ping()
  }
})
