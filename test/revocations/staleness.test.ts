import { sql } from 'kysely'
import t from 'tap'
import { poll } from '../helpers/poll.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, type TestService } from '../helpers/service.ts'

/** Takes the revocations away from a service, and nothing else. @returns what gives them back */
async function cutOff({ database: { db } }: TestService): Promise<() => Promise<unknown>> {
  await sql`alter table revocation_head rename to not_here`.execute(db)
  return () => sql`alter table not_here rename to revocation_head`.execute(db)
}

const statusOf = async (service: TestService, path: string, token: string) =>
  (await service.send('GET', path, { token })).statusCode

for (const database of databases) {
  t.test(
    `who prefers closed over open lets nobody in while revocations can't be heard, on ${database}`,
    async (t) => {
      const service = await createService(t, { database, env: { REVOCATION_MAX_STALENESS: '1s' } })
      const { accessToken: token } = await service.signUp()
      t.equal(await statusOf(service, '/me', token), 200)
      const giveBack = await cutOff(service)

      await poll('the guard to refuse', async () => (await statusOf(service, '/me', token)) === 503)
      const reply = await service.send('GET', '/me', { token })
      isProblem(t, reply, 'revocations_stale')
      t.equal(reply.headers['retry-after'], '1')
      t.notOk(reply.headers['www-authenticate'], 'it is no fault of the token')
      isProblem(t, await service.send('GET', '/account', { token }), 'revocations_stale')
      isProblem(t, await service.send('GET', '/readyz'), 'revocations_stale')
      t.equal((await service.send('GET', '/livez')).statusCode, 200)
      isProblem(t, await service.send('GET', '/me', { token: `${token}A` }), 'token_invalid')
      isProblem(t, await service.send('GET', '/me'), 'token_missing')

      await giveBack()
      await poll('the guard to let in', async () => (await statusOf(service, '/me', token)) === 200)
      t.equal((await service.send('GET', '/readyz')).statusCode, 200)
    },
  )

  t.test(
    `by default a node goes on with what it knows, and says how old that is, on ${database}`,
    async (t) => {
      const service = await createService(t, { database })
      const { accessToken: token } = await service.signUp()
      await cutOff(service)
      const age = async () => (await service.send('GET', '/readyz')).json().revocations.age
      await poll('what is known to grow old', async () => (await age()) > 1.2)
      t.equal(await statusOf(service, '/me', token), 200)
      t.ok(service.log.some((line) => JSON.parse(line).msg.startsWith("the revocations can't be followed")))
    },
  )
}
