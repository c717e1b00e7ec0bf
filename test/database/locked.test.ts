import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { poll } from '../helpers/poll.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService } from '../helpers/service.ts'

t.test('a SQLite file that somebody else holds stops nobody who has a token', async (t) => {
  const service = await createService(t)
  const people = await Promise.all(Array.from({ length: 8 }, () => service.signUp()))
  const other = new DatabaseSync(join(t.testdirName, 'latchkey.db'))
  t.teardown(() => other.close())
  other.exec('begin immediate')

  isProblem(t, await service.send('GET', '/readyz'), 'database_unavailable')
  const begun = performance.now()
  const refreshes = people.map(async ({ refreshToken }) => {
    const body = { refresh_token: refreshToken }
    const reply = await service.send('POST', '/auth/refresh', { body })
    return { reply, after: performance.now() - begun }
  })
  let slowest = 0
  let done = false
  const answered = Promise.all(refreshes).finally(() => {
    done = true
  })
  while (!done) {
    const asked = performance.now()
    const me = await service.send('GET', '/me', { token: people[0]?.accessToken ?? '' })
    if (me.statusCode !== 200) t.fail(`GET /me answered ${me.statusCode}`)
    slowest = Math.max(slowest, performance.now() - asked)
    await new Promise(setImmediate)
  }
  t.ok(slowest < 800, `GET /me took at most ${slowest} ms`)
  for (const { reply, after } of await answered) {
    isProblem(t, reply, 'database_unavailable')
    t.ok(after < 4_000, `answered after ${after} ms`)
  }

  other.exec('rollback')
  await poll('the service to be ready', async () => (await service.send('GET', '/readyz')).statusCode === 200)
  const body = { refresh_token: people[0]?.refreshToken }
  t.equal((await service.send('POST', '/auth/refresh', { body })).statusCode, 200)
})

t.test('who gave up long ago leaves nobody less patient', async (t) => {
  const service = await createService(t)
  const { refreshToken } = await service.signUp()
  const refresh = () => service.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } })
  const other = new DatabaseSync(join(t.testdirName, 'latchkey.db'))
  t.teardown(() => other.close())
  other.exec('begin immediate')
  isProblem(t, await refresh(), 'database_unavailable')

  const gaveUp = performance.now()
  await poll('a while to pass', () => performance.now() - gaveUp > 1_100)
  const waiting = refresh()
  setTimeout(() => other.exec('rollback'), 300)
  t.equal((await waiting).statusCode, 200)
})
