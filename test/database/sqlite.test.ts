import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { type Database, openDatabase } from '../../src/database/open.ts'
import { Problem } from '../../src/problem.ts'
import { NOON, nothing, someAccount, someSession } from '../helpers/rows.ts'

const unavailable = { name: 'Problem', code: 'database_unavailable' }

async function open(t: Test, url: string): Promise<Database> {
  const database = await openDatabase({ url, poolSize: 1, onIdleError: () => {} })
  t.teardown(() => database.close())
  return database
}

async function pragma(database: Database, name: string): Promise<unknown> {
  const { rows } = await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(database.db)
  return Object.values(rows[0] ?? {})[0]
}

t.test('what is committed is on disk, and foreign keys hold', async (t) => {
  const database = await open(t, `file:${t.testdir()}/latchkey.db`)
  t.equal(await pragma(database, 'journal_mode'), 'wal')
  t.equal(await pragma(database, 'synchronous'), 2, 'FULL')
  t.equal(await pragma(database, 'foreign_keys'), 1)
  t.equal(await pragma(database, 'busy_timeout'), 5, 'the rest is waited without stopping the process')
})

t.test('the file and its folder are the owner’s alone, whatever the umask', async (t) => {
  const umask = process.umask(0)
  t.teardown(() => process.umask(umask))
  const folder = join(t.testdir(), 'new', 'data')
  const { db } = await open(t, `file:${folder}/latchkey.db`)
  await createAccountStore(db).create(someAccount(), 'ada@example.com', undefined, nothing)
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
  t.equal(mode(folder), '700')
  t.equal(mode(join(folder, 'latchkey.db')), '600')
  t.equal(mode(join(folder, 'latchkey.db-wal')), '600')
  t.equal(mode(join(folder, 'latchkey.db-shm')), '600')
})

t.test('a database in memory leaves no file', async (t) => {
  const database = await open(t, 'file::memory:')
  t.equal(
    await createAccountStore(database.db).create(someAccount(), 'ada@example.com', undefined, nothing),
    true,
  )
  t.throws(() => statSync(':memory:'), { code: 'ENOENT' })
})

t.test('a file:// URL names a file, with what is percent-encoded in it', async (t) => {
  const path = join(t.testdir(), 'a folder', 'latch key.db')
  const url = pathToFileURL(path).href
  t.match(url, /%20/)
  await open(t, url)
  t.equal(readFileSync(path).subarray(0, 15).toString(), 'SQLite format 3')
})

t.test('a file that another connection has locked is waited for, and then it is unavailable', async (t) => {
  const path = join(t.testdir(), 'latchkey.db')
  const database = await open(t, `file:${path}`)
  const other = new DatabaseSync(path)
  t.teardown(() => other.close())
  other.exec('begin immediate')

  const store = createAccountStore(database.db)
  const begun = performance.now()
  await t.rejects(store.create(someAccount(), 'ada@example.com', undefined, nothing), unavailable)
  const waited = performance.now() - begun
  t.ok(waited > 900 && waited < 4_000, `it took ${waited} ms`)
  t.equal(await store.isTaken('ada@example.com'), false, 'reading needs no lock')

  other.exec('rollback')
  t.equal(await store.create(someAccount(), 'ada@example.com', undefined, nothing), true)
})

t.test('a new file that another node is about to set up is waited for', async (t) => {
  const path = join(t.testdir(), 'latchkey.db')
  const other = new DatabaseSync(path)
  t.teardown(() => other.close())
  other.exec('begin immediate')
  const opening = open(t, `file:${path}`)
  setTimeout(() => other.exec('rollback'), 1_500)
  t.equal(await pragma(await opening, 'journal_mode'), 'wal')
})

t.test('a file that can only be read is unavailable for writing', async (t) => {
  const database = await open(t, `file:${t.testdir()}/latchkey.db`)
  await sql`pragma query_only = on`.execute(database.db)
  await t.rejects(
    createAccountStore(database.db).create(someAccount(), 'ada@example.com', undefined, nothing),
    unavailable,
  )
  await t.rejects(database.ping(), unavailable)
})

t.test('a full disk is unavailable, and what was begun on it is undone', async (t) => {
  const database = await open(t, `file:${t.testdir()}/latchkey.db`)
  const store = createAccountStore(database.db)
  const account = someAccount()
  await sql`pragma max_page_count = 1`.execute(database.db)
  const large = someSession(account.id, { user_agent: 'x'.repeat(100_000) })
  await t.rejects(store.create(account, account.email, large, nothing), unavailable)

  t.equal(await store.find(account.id), undefined)
  await sql`pragma max_page_count = 1000000`.execute(database.db)
  t.equal(await store.create(account, account.email, large, nothing), true, 'it goes on once there is room')
})

t.test('a file that cannot be opened is unavailable', async (t) => {
  const folder = t.testdir({ garbage: 'not a database, but long enough to look like one. '.repeat(40) })
  mkdirSync(join(folder, 'folder.db'))
  writeFileSync(join(folder, 'file'), '')
  const paths = { garbage: 'no database', 'folder.db': 'a folder', 'file/latchkey.db': 'below a file' }
  for (const [path, what] of Object.entries(paths)) {
    const opening = openDatabase({ url: `file:${folder}/${path}`, poolSize: 1, onIdleError: () => {} })
    await t.rejects(opening, unavailable, what)
  }
})

t.test('a fault of the query itself is not taken for one of the database', async (t) => {
  const { db } = await open(t, 'file::memory:')
  for (const query of [sql`select nonsense`, sql`insert into account_roles values ('nobody', 'user')`]) {
    const error = await query.execute(db).catch((error) => error)
    t.match(error, { code: 'ERR_SQLITE_ERROR' })
    t.notOk(error instanceof Problem)
  }
})

t.test('rows can be streamed', async (t) => {
  const { db } = await open(t, 'file::memory:')
  const store = createAccountStore(db)
  for (const email of ['ada@example.com', 'bob@example.com'])
    await store.create(someAccount({ email }), email, undefined, nothing)
  const emails: string[] = []
  for await (const { email, created_at } of db.selectFrom('accounts').selectAll().orderBy('email').stream()) {
    t.equal(created_at, NOON)
    emails.push(email)
  }
  t.same(emails, ['ada@example.com', 'bob@example.com'])
})
