import t from 'tap'
import { openDatabase } from '../../src/database/open.ts'
import { logIn, PROXIED, stranger, WRONG } from '../helpers/attempts.ts'
import { createKinds, emailOf, kinds } from '../helpers/kinds.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { createService, databases } from '../helpers/service.ts'

// How long each takes is measured by npm run test:faults.
for (const dialect of databases) {
  t.test(
    `a wrong password is answered and stored alike, whoever it is tried on, on ${dialect}`,
    async (t) => {
      const statements: string[] = []
      const database = await openDatabase({
        url: await emptyDatabase(t, dialect),
        poolSize: 10,
        onIdleError: () => {},
        onStatement({ sql }) {
          // Every node asks for revocations now and then.
          if (!sql.includes('revocation')) statements.push(sql)
        },
      })
      t.teardown(() => database.close())
      const service = await createService(t, { database, env: PROXIED })
      await createKinds(database.db)

      /** Everything that can be seen of an attempt, from outside and at the database. */
      async function seen(email: string, number: number): Promise<string> {
        statements.splice(0)
        const reply = await logIn(service, email, { password: WRONG, from: stranger(number) })
        const { 'x-request-id': id, date, ...headers } = reply.headers
        const { request_id, ...body } = reply.json()
        if (request_id !== id) t.fail('the answer is not of its request')
        return JSON.stringify({ status: reply.statusCode, headers, body, statements }, undefined, 2)
      }

      const statuses = new Set<unknown>()
      // Five are free, then one is refused, and the next one comes after a second.
      for (const step of [1, 2, 3, 4, 5, 6, 7]) {
        if (step === 7) service.clock.advance(1_000)
        const answers = new Map<string, string>()
        for (const kind of kinds) answers.set(kind, await seen(emailOf(kind), step))
        const like = answers.get('unknown') as string
        for (const [kind, answer] of answers) t.equal(answer, like, `step ${step}, ${kind}`)
        const { status, statements: sent } = JSON.parse(like)
        statuses.add(status)
        t.ok(sent.length <= 12, `${sent.length} statements`)
      }
      t.strictSame([...statuses], [401, 429])
    },
  )
}
