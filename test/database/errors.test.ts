import t from 'tap'
import { isUniqueViolation } from '../../src/database/errors.ts'
import type { Db } from '../../src/database/schema.ts'
import { NOON } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

async function insertAccount(db: Db, id: string, email: string, status: 'active'): Promise<unknown> {
  return db
    .insertInto('accounts')
    .values({
      ...{ id, email, status },
      email_key: email,
      password_hash: 'a hash',
      created_at: NOON,
      updated_at: NOON,
    })
    .execute()
    .catch((error) => error)
}

for (const kind of databases) {
  t.test(`a unique violation is told from other errors, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()]
    await insertAccount(db, first, 'ada@example.com', 'active')

    const twice = await insertAccount(db, second, 'ada@example.com', 'active')
    t.type(twice, Error)
    t.equal(isUniqueViolation(twice), true)

    const checked = await insertAccount(db, second, 'bob@example.com', 'nonsense' as 'active')
    t.type(checked, Error)
    t.equal(isUniqueViolation(checked), false, 'a check constraint is another matter')
  })
}
