import { hash } from 'node:crypto'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { type Database, openDatabase } from '../../src/database/open.ts'
import { Problem } from '../../src/problem.ts'
import { poll } from '../helpers/poll.ts'
import { createPostgresDatabase } from '../helpers/postgres.ts'
import { nothing, someAccount } from '../helpers/rows.ts'

const unavailable = { name: 'Problem', code: 'database_unavailable' }

interface Opened {
  readonly url: string
  readonly database: Database
  readonly idleErrors: Error[]
}

async function open(t: Test, poolSize = 1): Promise<Opened> {
  const { url, drop } = await createPostgresDatabase()
  const idleErrors: Error[] = []
  const database = await openDatabase({ url, poolSize, onIdleError: (error) => idleErrors.push(error) })
  t.teardown(async () => {
    await database.close()
    await drop()
  })
  return { url, database, idleErrors }
}

async function backend({ db }: Pick<Database, 'db'>): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db)
  return rows[0]?.pid ?? 0
}

async function rejectsWithin(t: Test, ms: number, work: Promise<unknown>): Promise<void> {
  const begun = performance.now()
  await t.rejects(work, unavailable)
  const took = performance.now() - begun
  t.ok(took < ms, `it took ${took} ms`)
}

t.test('a server that is not there is unavailable', async (t) => {
  const listener = createServer()
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening))
  const { port } = listener.address() as AddressInfo
  await new Promise((closed) => listener.close(closed))
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await rejectsWithin(t, 4_000, openDatabase({ url, poolSize: 1, onIdleError: () => {} }))
})

t.test('a server that never says a word is unavailable', async (t) => {
  const listener = createServer()
  await new Promise<void>((listening) => listener.listen(0, '127.0.0.1', listening))
  t.teardown(() => listener.close())
  const { port } = listener.address() as AddressInfo
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  await rejectsWithin(t, 4_000, openDatabase({ url, poolSize: 1, onIdleError: () => {} }))
})

t.test('a server that does not let the service in is unavailable, and the log can say why', async (t) => {
  const { url } = await open(t)
  const wrong = new URL(url)
  wrong.password = 'wrong'
  const error = await openDatabase({ url: wrong.href, poolSize: 1, onIdleError: () => {} }).catch((e) => e)
  t.match(error, { ...unavailable, cause: { code: '28P01' } })
})

t.test('an idle connection that breaks is told of, and the next query gets another', async (t) => {
  const { database, idleErrors } = await open(t)
  const other = await open(t)
  const pid = await backend(database)
  await sql`select pg_terminate_backend(${pid})`.execute(other.database.db)
  await poll('the pool to hear of it', () => idleErrors.length > 0)
  t.match(idleErrors, [{ code: '57P01', client: undefined }])
  t.not(await backend(database), pid)
})

t.test('a connection that breaks while it is used fails that work and not the process', async (t) => {
  const { database, idleErrors } = await open(t)
  const other = await open(t)
  const pid = await backend(database)

  await t.test('under a query', async (t) => {
    const sleeping = sql`select pg_sleep(0.9)`.execute(database.db)
    const rejected = t.rejects(sleeping, unavailable)
    await sql`select pg_terminate_backend(${pid})`.execute(other.database.db)
    await rejected
    await database.ping()
  })

  await t.test('between two queries of a transaction', async (t) => {
    const work = database.db.transaction().execute(async (tx) => {
      const pid = await backend({ db: tx })
      await sql`select pg_terminate_backend(${pid})`.execute(other.database.db)
      await poll('the backend to be gone', async () => {
        const { rows } = await sql`select 1 from pg_stat_activity where pid = ${pid}`.execute(
          other.database.db,
        )
        return rows.length === 0
      })
      await sql`select 1`.execute(tx)
    })
    await t.rejects(work, unavailable)
    await database.ping()
  })
  t.same(idleErrors, [], 'whoever used it was told')
})

t.test('a query that takes too long is given up, and its connection with it', async (t) => {
  const { database } = await open(t)
  const pid = await backend(database)
  await rejectsWithin(t, 4_000, sql`select pg_sleep(5)`.execute(database.db))
  t.not(await backend(database), pid)
})

t.test('a pool that is used up is waited for, but not for long', async (t) => {
  const { database } = await open(t, 1)
  let free = () => {}
  const released = new Promise<void>((resolve) => {
    free = resolve
  })
  const holding = database.db.connection().execute(() => released)
  await rejectsWithin(t, 4_000, database.ping())

  const waiting = database.ping()
  free()
  await holding
  await t.resolves(waiting, 'whoever waits gets the connection once it is free')
})

t.test('a fault of the query itself is not taken for one of the database', async (t) => {
  const { database } = await open(t)
  const pid = await backend(database)
  for (const [query, code] of [
    [sql`select nonsense`, '42703'],
    [sql`insert into account_roles values (${crypto.randomUUID()}, 'user')`, '23503'],
  ] as const) {
    const error = await query.execute(database.db).catch((error) => error)
    t.match(error, { code })
    t.notOk(error instanceof Problem)
  }
  t.equal(await backend(database), pid, 'the connection is still good')
})

t.test('a deadlock or a lock that is not given is of the moment', async (t) => {
  const { database } = await open(t, 2)
  const account = someAccount()
  await createAccountStore(database.db).create(account, account.email, undefined, nothing)
  await database.db.transaction().execute(async (tx) => {
    await tx.selectFrom('accounts').select('id').forUpdate().execute()
    const other = database.db.selectFrom('accounts').select('id').forUpdate().noWait().execute()
    await t.rejects(other, unavailable)
  })
})

t.test('what another node adds to a table while this one reads it is no fault', async (t) => {
  const { database } = await open(t)
  const { db } = database
  await sql`create table growing (id integer)`.execute(db)
  await sql`insert into growing values (1)`.execute(db)
  const read = (from: typeof db) => sql`select * from growing where id = ${1}`.execute(from)
  const prepared = async () => {
    const { rows } = await sql<{ statement: string }>`
      select statement from pg_prepared_statements where statement like ${'select * from growing%'}
    `.execute(db)
    return rows.length
  }
  t.match((await read(db)).rows, [{ id: 1 }])
  t.equal(await prepared(), 1, 'the statement is prepared')
  await sql`alter table growing add column size integer`.execute(db)
  t.match((await read(db)).rows, [{ id: 1, size: null }])

  const { database: second } = await open(t)
  await sql`create table growing (id integer)`.execute(second.db)
  await read(second.db)
  const begun = second.db.transaction().execute(async (tx) => {
    await sql`alter table growing add column size integer`.execute(tx)
    return read(tx)
  })
  await t.rejects(begun, unavailable, 'a transaction is to be tried again')
  await sql`alter table growing add column size integer`.execute(second.db)
  t.same((await read(second.db)).rows, [])
})

t.test('a pooler that keeps no prepared statements is no fault, and mixes up none', async (t) => {
  const { database } = await open(t)
  const { db } = database
  const read = (id: number) => sql<{ id: number }>`select ${id}::integer as id`.execute(db)
  t.same((await read(1)).rows, [{ id: 1 }])
  const { rows } = await sql<{ name: string; statement: string }>`
    select name, statement from pg_prepared_statements where statement like ${'%::integer as id'}
  `.execute(db)
  const [{ name, statement }] = rows as [{ name: string; statement: string }]
  t.equal(name, `latchkey_${hash('sha256', statement).slice(0, 32)}`, 'on every node it has the same name')

  // Another connection than the one it was prepared on, where it isn't, or where another node has prepared it.
  await sql.raw('deallocate all').execute(db)
  t.same((await read(2)).rows, [{ id: 2 }])
  const { database: second } = await open(t)
  await sql.raw(`prepare ${name} as ${statement}`).execute(second.db)
  t.same((await sql`select ${3}::integer as id`.execute(second.db)).rows, [{ id: 3 }])
})

t.test('statements without number take no room in the server’s memory', async (t) => {
  const { database } = await open(t)
  for (let length = 1; length <= 300; length++) {
    const list = sql.join(Array.from({ length }, (_, index) => index))
    await sql`select ${1}::integer in (${list})`.execute(database.db)
  }
  const { rows } = await sql<{ count: number }>`select count(*) from pg_prepared_statements`.execute(
    database.db,
  )
  t.ok(Number(rows[0]?.count) <= 200)
})

t.test('a big integer comes as a number, and bytes as bytes', async (t) => {
  const { database } = await open(t)
  const { rows } = await sql`select 1767268800000::int8 as time, '\\x0102'::bytea as bytes`.execute(
    database.db,
  )
  t.strictSame(rows, [{ time: 1_767_268_800_000, bytes: Buffer.from([1, 2]) }])
})

t.test('closing does not wait for a connection that hangs', async (t) => {
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  const database = await openDatabase({ url, poolSize: 1, onIdleError: () => {} })
  await t.rejects(sql`select pg_sleep(5)`.execute(database.db), unavailable)
  const closed = await Promise.race([database.close().then(() => true), sleep(1_000, false)])
  t.equal(closed, true)
})
