import { sql } from 'kysely'
import t from 'tap'
import { Problem } from '../../src/problem.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { databases } from '../helpers/service.ts'

t.test('however many wait for a connection, one is kept', async (t) => {
  const { db, reserved } = await openAsNode(t, await emptyDatabase(t, 'postgres'))
  let done = 0
  const holding = Array.from({ length: 30 }, async () => {
    const result = await sql`select pg_sleep(0.9)`.execute(db).catch((error) => error)
    done++
    return result
  })
  await reserved.selectFrom('revocation_head').selectAll().executeTakeFirstOrThrow()
  t.equal(done, 0, 'it did not wait for any of them')
  const results = await Promise.all(holding)
  t.ok(
    results.some((result) => result instanceof Problem),
    'some of the others have waited in vain',
  )
})

for (const kind of databases) {
  t.test(`both are closed, on ${kind}`, async (t) => {
    const { db, reserved, close } = await openAsNode(t, await emptyDatabase(t, kind))
    const ask = (each: typeof db) => each.selectFrom('revocation_head').selectAll().executeTakeFirstOrThrow()
    await Promise.all([ask(db), ask(reserved)])
    await close()
    await t.rejects(ask(db))
    await t.rejects(ask(reserved))
  })
}
