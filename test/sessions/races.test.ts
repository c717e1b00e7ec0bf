import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { createApp } from '../../src/app.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { CHEAP_ARGON2, createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const ANOTHER_PASSWORD = 'a short swim in the lake'

function refresh(service: TestService, refresh_token: string) {
  return service.send('POST', '/auth/refresh', { body: { refresh_token } })
}

function logIn(service: Pick<TestService, 'send'>, email: string, password = PASSWORD) {
  return service.send('POST', '/auth/login', { body: { email, password } })
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate()
}

/** The same database under a service whose argon2 takes one pass more. */
async function withDearerPasswords(t: Test, { config, database, keyring, clock, app }: TestService) {
  const dearer = createApp({
    ...{ config, database, keyring, clock, logger: app.log },
    passwords: await createPasswords({ ...CHEAP_ARGON2, passes: CHEAP_ARGON2.passes + 1 }),
  })
  t.teardown(() => dearer.close())
  const send: TestService['send'] = (method, url, { body } = {}) =>
    dearer.inject({ method, url, payload: body as object })
  return { send }
}

for (const database of databases) {
  t.test(`twenty refreshes of one token at once get one and the same child, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { refreshToken, accountId } = await service.signUp()
    const replies = await Promise.all(Array.from({ length: 20 }, () => refresh(service, refreshToken)))

    t.same(new Set(replies.map((reply) => reply.statusCode)), new Set([200]))
    const children = new Set(replies.map((reply) => reply.json().refresh_token))
    t.equal(children.size, 1, 'one rotation, and the others hear of it')
    t.notOk(children.has(refreshToken))

    const [child] = children
    t.equal((await refresh(service, child)).statusCode, 200)
    const rows = await service.database.db
      .selectFrom('sessions')
      .select('id')
      .where('account_id', '=', accountId)
      .execute()
    t.equal(rows.length, 1)
    t.same(service.events('refresh_reused'), [])
  })

  t.test(`a logout wins over the refresh beside it, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const statuses = new Set<number>()
    for (let round = 0; round < 20; round++) {
      const { accessToken, refreshToken } = await service.signUp()
      const first = turns(round % 5).then(() => refresh(service, refreshToken))
      const [refreshed, loggedOut] = await Promise.all([
        first,
        turns(round % 7).then(() => service.send('POST', '/auth/logout', { token: accessToken })),
      ])
      statuses.add(refreshed.statusCode)
      t.equal(loggedOut.statusCode, 204)
      t.equal((await refresh(service, refreshToken)).statusCode, 401)
      t.equal((await service.send('GET', '/me', { token: accessToken })).statusCode, 401)
      if (refreshed.statusCode !== 200) continue
      const { access_token, refresh_token } = refreshed.json()
      t.equal((await refresh(service, refresh_token)).statusCode, 401)
      t.equal((await service.send('GET', '/me', { token: access_token })).statusCode, 401)
    }
    t.ok(statuses.isSubsetOf(new Set([200, 401])), [...statuses].join())
  })

  t.test(`no session outlives the password it was opened with, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    for (let round = 0; round < 12; round++) {
      const { accessToken, email } = await service.signUp()
      const [changed, loggedIn] = await Promise.all([
        service.send('PUT', '/account/password', {
          token: accessToken,
          body: { current_password: PASSWORD, new_password: ANOTHER_PASSWORD },
        }),
        turns(round * 2).then(() => logIn(service, email)),
      ])
      t.equal(changed.statusCode, 204)
      t.equal((await logIn(service, email)).statusCode, 401, 'the old password is of the past')
      t.equal((await service.send('GET', '/account', { token: accessToken })).statusCode, 200)
      if (loggedIn.statusCode === 401) continue
      t.equal(loggedIn.statusCode, 200)
      const { access_token, refresh_token } = loggedIn.json()
      t.equal((await refresh(service, refresh_token)).statusCode, 401)
      t.equal((await service.send('GET', '/me', { token: access_token })).statusCode, 401)
    }
  })

  t.test(`logins at once all succeed where each hashes the password anew, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accountId } = await service.signUp()
    const hash = async () =>
      (
        await service.database.db
          .selectFrom('accounts')
          .select('password_hash')
          .where('id', '=', accountId)
          .executeTakeFirstOrThrow()
      ).password_hash
    t.match(await hash(), /[,$]t=2[,$]/)

    const dearer = await withDearerPasswords(t, service)
    const replies = await Promise.all([logIn(dearer, email), logIn(dearer, email)])
    t.same(
      replies.map((reply) => reply.statusCode),
      [200, 200],
    )
    t.match(await hash(), /[,$]t=3[,$]/)
    for (const reply of replies) {
      t.equal((await refresh(service, reply.json().refresh_token)).statusCode, 200)
    }
    t.equal(
      (await logIn(service, email)).statusCode,
      200,
      'and a node with the old parameters reads the hash',
    )
    t.match(await hash(), /[,$]t=3[,$]/, 'without making it weaker')
  })
}
