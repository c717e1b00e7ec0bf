import t from 'tap'
import type { Db, Tx } from '../../src/database/schema.ts'
import { afterCommit, transact } from '../../src/database/transaction.ts'
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
