import { AsyncLocalStorage } from 'node:async_hooks'
import t from 'tap'
import type { Db, Tx } from '../../src/database/schema.ts'
import { afterCommit, groupWrites, transact } from '../../src/database/transaction.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { NOON, someAccount } from '../helpers/rows.ts'
import { databases } from '../helpers/service.ts'

async function insertAccount(to: Db | Tx): Promise<void> {
  const { id, email, status } = someAccount()
  const times = { created_at: NOON, updated_at: NOON }
  await to
    .insertInto('accounts')
    .values({ id, email, email_key: email, password_hash: 'a hash', status, ...times })
    .execute()
}

async function count(db: Db): Promise<number> {
  return (await db.selectFrom('accounts').select('id').execute()).length
}

for (const kind of databases) {
  t.test(`what is to come after a transaction comes once all can see what it did, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const [{ db }, { db: other }] = [await openAsNode(t, url), await openAsNode(t, url)]
    const told: string[] = []
    let seen: Promise<number> | undefined
    const result = await transact(db, async (tx) => {
      afterCommit(tx, () => told.push('first'))
      await insertAccount(tx)
      afterCommit(tx, () => {
        told.push('second')
        seen = count(other)
      })
      t.same(told, [], 'nothing before')
      t.equal(await count(other), 0)
      return 'what the work returned'
    })
    t.equal(result, 'what the work returned')
    t.same(told, ['first', 'second'])
    t.equal(await seen, 1)
  })

  t.test(`where a transaction is rolled back, nothing comes after it, on ${kind}`, async (t) => {
    const { db } = await openAsNode(t, await emptyDatabase(t, kind))
    const told: string[] = []
    const failing = transact(db, async (tx) => {
      await insertAccount(tx)
      afterCommit(tx, () => told.push('too early'))
      throw new Error('it went wrong')
    })
    await t.rejects(failing, { message: 'it went wrong' })
    t.same(told, [])
    t.equal(await count(db), 0)

    await transact(db, insertAccount)
    t.same(told, [], 'nor after the next')
    t.equal(await count(db), 1)
  })

  t.test(`transactions beside each other have each their own, on ${kind}`, async (t) => {
    const { db } = await openAsNode(t, await emptyDatabase(t, kind))
    const told: number[] = []
    const work = (number: number) =>
      transact(db, async (tx) => {
        afterCommit(tx, () => told.push(number))
        await insertAccount(tx)
        if (number % 2 === 1) throw new Error('it went wrong')
      })
    await Promise.allSettled([0, 1, 2, 3, 4, 5].map(work))
    t.same(told.sort(), [0, 2, 4])
    t.equal(await count(db), 3)
  })

  t.test(`single writes of the same moment are each done, on ${kind}`, async (t) => {
    const { db } = await openAsNode(t, await emptyDatabase(t, kind))
    const write = groupWrites(db)
    const numbers = Array.from({ length: 100 }, (_, number) => number)
    const done = await Promise.all(
      numbers.map((number) => write((to) => insertAccount(to).then(() => number))),
    )
    t.same(done, numbers)
    t.equal(await count(db), 100)
  })

  t.test(`a transaction that began otherwise is refused, and undone, on ${kind}`, async (t) => {
    const { db } = await openAsNode(t, await emptyDatabase(t, kind))
    const beginning = db.transaction().execute(async (tx) => {
      await insertAccount(tx)
      afterCommit(tx, () => {})
    })
    await t.rejects(beginning, { message: 'the transaction was not begun by transact()' })
    t.equal(await count(db), 0)
  })
}

t.test('on SQLite they share a transaction, at most 32 of them', async (t) => {
  const sent: string[] = []
  const url = await emptyDatabase(t, 'sqlite')
  const { db } = await openAsNode(t, url, { onStatement: ({ sql }) => sent.push(sql) })
  const write = groupWrites(db)
  sent.length = 0
  await Promise.all(Array.from({ length: 40 }, () => write(insertAccount)))
  const shape = sent.map((text) => text.split(' ')[0])
  const group = (size: number) => ['begin', ...Array(size).fill('insert'), 'commit']
  t.same(shape, [...group(32), ...group(8)])
})

t.test('where SQLite can’t commit one, it does none of them, and each hears of it', async (t) => {
  const { db } = await openAsNode(t, await emptyDatabase(t, 'sqlite'))
  const write = groupWrites(db)
  const failing = async (to: Db | Tx) => {
    await insertAccount(to)
    throw new Error('it went wrong')
  }
  const settled = await Promise.allSettled([write(insertAccount), write(failing), write(insertAccount)])
  t.same(
    settled.map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  )
  t.equal(await count(db), 0)
  await write(insertAccount)
  t.equal(await count(db), 1, 'the next ones are not held back')
})

t.test('each write is told of in the context of whoever asked for it', async (t) => {
  const asked = new AsyncLocalStorage<number>()
  const seen: unknown[] = []
  const onStatement = ({ sql }: { sql: string }) => {
    if (sql.startsWith('insert into "accounts"')) seen.push(asked.getStore())
  }
  const { db } = await openAsNode(t, await emptyDatabase(t, 'sqlite'), { onStatement })
  const write = groupWrites(db)
  await Promise.all([1, 2, 3].map((number) => asked.run(number, () => write(insertAccount))))
  t.same(seen, [1, 2, 3])
})
