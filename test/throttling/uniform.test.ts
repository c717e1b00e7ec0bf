import t from 'tap'
import { logIn, PROXIED, stranger, WRONG } from '../helpers/attempts.ts'
import { createService, databases } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`a whole ladder tells nothing of whether there is an account, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: PROXIED })
    const known = await service.signUp('known@example.com')
    const disabled = await service.signUp('disabled@example.com')
    await service.database.db
      .updateTable('accounts')
      .set({ status: 'disabled' })
      .where('id', '=', disabled.accountId)
      .execute()
    const emails = [known.email, disabled.email, 'nobody@example.com']
    const seen: Record<number, number> = {}

    // An attempt when it may be, and one right after it: on SQLite up to the hundredth failure and beyond.
    const steps = database === 'sqlite' ? 210 : 40
    for (let step = 0; step < steps; step++) {
      const answers = []
      for (const email of emails) {
        const reply = await logIn(service, email, { password: WRONG, from: stranger(step) })
        const { 'x-request-id': id, date, ...headers } = reply.headers
        const { request_id, ...body } = reply.json()
        if (request_id !== id) t.fail('the answer is not of its request')
        answers.push(JSON.stringify([reply.statusCode, headers, body]))
        seen[reply.statusCode] = (seen[reply.statusCode] ?? 0) + 1
        if (email === emails.at(-1) && reply.statusCode === 429) {
          service.clock.advance(Number(reply.headers['retry-after']) * 1_000)
        }
      }
      if (new Set(answers).size > 1) t.fail(`step ${step}:\n${answers.join('\n')}`)
    }
    t.equal(seen[401], 3 * (steps / 2 + 2), JSON.stringify(seen))
  })
}
