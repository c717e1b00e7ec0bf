import t, { type Test } from 'tap'
import { failAt, haveFailed, logIn, PROXIED, statuses, stranger, WRONG } from '../helpers/attempts.ts'
import { refreshed } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import {
  createService,
  type DatabaseName,
  databases,
  PASSWORD,
  type SignedUp,
  type TestService,
} from '../helpers/service.ts'

const SECOND = 1_000
const DAY = 86_400 * SECOND
const [HOME, NEW, NEWEST, NEIGHBOUR] = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1']
const NEWER = 'a short ride over the hill'

/** A service, and somebody who logs in to it at home. */
async function owner(
  t: Test,
  database: DatabaseName = 'sqlite',
  env: Record<string, string> = {},
): Promise<{ service: TestService; ada: SignedUp }> {
  const service = await createService(t, { database, env: { ...PROXIED, ...env } })
  const ada = await service.signUp()
  t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
  return { service, ada }
}

const changePassword = (service: TestService, token: string, current = PASSWORD, next = PASSWORD) =>
  service.send('PUT', '/account/password', {
    token,
    body: { current_password: current, new_password: next },
    headers: { 'x-forwarded-for': NEW },
  })

for (const database of databases) {
  t.test(
    `who holds a live session is not held back by failures from elsewhere, on ${database}`,
    async (t) => {
      const { service, ada } = await owner(t, database)
      await haveFailed(service, ada.email, 100)
      isProblem(t, await logIn(service, ada.email, { from: NEW }), 'too_many_attempts')
      // It took the strangers a day: her refresh token is good, her access token has expired.
      const { accessToken: token, refreshToken } = await refreshed(service, ada.refreshToken)
      await refreshed(service, refreshToken)
      t.equal((await changePassword(service, token, PASSWORD, NEWER)).statusCode, 204)
      const rename = { name: 'Ada', current_password: NEWER }
      t.equal((await service.send('PATCH', '/account', { token, body: rename })).statusCode, 200)
      isProblem(t, await logIn(service, ada.email, { password: NEWER, from: NEWEST }), 'too_many_attempts')
      const erase = { current_password: NEWER }
      t.equal((await service.send('DELETE', '/account', { token, body: erase })).statusCode, 204)
    },
  )

  t.test(
    `who has logged in from an address before logs in from there unhindered, on ${database}`,
    async (t) => {
      const { service, ada } = await owner(t, database)
      await haveFailed(service, ada.email, 100)
      isProblem(t, await logIn(service, ada.email, { from: NEW }), 'too_many_attempts')
      t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
      isProblem(t, await logIn(service, ada.email, { from: NEW }), 'too_many_attempts')
      t.equal((await logIn(service, ada.email)).statusCode, 200, 'also where she signed up')

      // And has a count of its own there.
      for (const wait of [0, 0, 0, 0, 0, 1]) {
        service.clock.advance(wait * SECOND)
        t.equal((await logIn(service, ada.email, { password: WRONG, from: HOME })).statusCode, 401)
      }
      const held = await logIn(service, ada.email, { from: HOME })
      isProblem(t, held, 'too_many_attempts')
      t.equal(held.headers['retry-after'], '2')
      service.clock.advance(2 * SECOND)
      t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
      t.equal((await logIn(service, ada.email, { password: WRONG, from: HOME })).statusCode, 401)
    },
  )

  t.test(`she does so while fifty guess at once, over and over, on ${database}`, async (t) => {
    const { service, ada } = await owner(t, database)
    await haveFailed(service, ada.email, 20)
    let rounds = 0
    let isOver = false
    const hammer = async () => {
      for (; !isOver; rounds++) {
        const guesses = Array.from({ length: 50 }, (_, index) =>
          logIn(service, ada.email, { password: WRONG, from: stranger(index) }),
        )
        await Promise.all(guesses)
      }
    }
    const hammering = hammer()
    for (let login = 0; login < 5; login++) {
      const begun = performance.now()
      t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
      const took = performance.now() - begun
      t.ok(took < 5_000, `it took ${took} ms`)
    }
    isOver = true
    await hammering
    t.ok(rounds > 0)
  })

  t.test(`an address stays familiar for 90 days after the last login, on ${database}`, async (t) => {
    const { service, ada } = await owner(t, database)
    service.clock.advance(80 * DAY)
    t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
    service.clock.advance(89 * DAY)
    await haveFailed(service, ada.email, 5)
    t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
    service.clock.advance(91 * DAY)
    await haveFailed(service, ada.email, 5)
    isProblem(t, await logIn(service, ada.email, { from: HOME }), 'too_many_attempts')
  })
}

for (const database of databases) {
  t.test(
    `where somebody was familiar who had the account before is strange to the next, on ${database}`,
    async (t) => {
      const { service, ada } = await owner(t, database)
      const body = { current_password: PASSWORD }
      t.equal((await service.send('DELETE', '/account', { token: ada.accessToken, body })).statusCode, 204)
      await service.signUp(ada.email)
      await haveFailed(service, ada.email, 5)
      isProblem(t, await logIn(service, ada.email, { from: HOME }), 'too_many_attempts')
    },
  )

  t.test(
    `an address that is left is strange, the new one is known where it was taken, on ${database}`,
    async (t) => {
      const { service, ada } = await owner(t, database)
      const move = (email: string) =>
        service.send('PATCH', '/account', {
          token: ada.accessToken,
          body: { email, current_password: PASSWORD },
          headers: { 'x-forwarded-for': NEW },
        })
      t.equal((await move('new@example.com')).statusCode, 200)
      await haveFailed(service, 'new@example.com', 5)
      isProblem(t, await logIn(service, 'new@example.com', { from: HOME }), 'too_many_attempts')
      t.equal((await logIn(service, 'new@example.com', { from: NEW })).statusCode, 200)
      t.equal((await move(ada.email)).statusCode, 200)
      await haveFailed(service, ada.email, 5)
      isProblem(t, await logIn(service, ada.email, { from: HOME }), 'too_many_attempts')
      t.equal((await logIn(service, ada.email, { from: NEW })).statusCode, 200)
    },
  )

  t.test(
    `a new password makes every network strange but the one it was changed from, on ${database}`,
    async (t) => {
      const { service, ada } = await owner(t, database)
      t.equal((await changePassword(service, ada.accessToken, PASSWORD, NEWER)).statusCode, 204)
      await haveFailed(service, ada.email, 5)
      isProblem(t, await logIn(service, ada.email, { password: NEWER, from: HOME }), 'too_many_attempts')
      t.equal((await logIn(service, ada.email, { password: NEWER, from: NEW })).statusCode, 200)
    },
  )
}

t.test('logins beside each other all succeed, from wherever', async (t) => {
  const { service, ada } = await owner(t)
  for (const from of [HOME, NEW]) {
    const replies = await Promise.all(Array.from({ length: 30 }, () => logIn(service, ada.email, { from })))
    const { 200: opened = 0, 503: overloaded = 0 } = statuses(replies)
    t.equal(opened + overloaded, 30, 'none is told that it tried too often')
    t.ok(opened >= 5)
  }
})

t.test('a login from a familiar address with no failure writes nothing of attempts', async (t) => {
  const { service, ada } = await owner(t)
  const all = () => service.database.db.selectFrom('attempts').selectAll().orderBy('key').execute()
  const before = await all()
  service.clock.advance(DAY - 1)
  await logIn(service, ada.email, { from: HOME })
  t.strictSame(await all(), before)
  service.clock.advance(1)
  await logIn(service, ada.email, { from: HOME })
  t.notSame(await all(), before, 'but once a day')
})

t.test('a login from a familiar address does not help who guesses elsewhere', async (t) => {
  const { service, ada } = await owner(t)
  await haveFailed(service, ada.email, 5)
  for (let login = 0; login < 10; login++) {
    t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
  }
  isProblem(t, await logIn(service, ada.email, { password: WRONG, from: stranger(1) }), 'too_many_attempts')
})

t.test('at a new address she comes between the guesses', async (t) => {
  const { service, ada } = await owner(t)
  await haveFailed(service, ada.email, 30)
  const held = await logIn(service, ada.email, { from: NEW })
  t.equal(held.headers['retry-after'], '900', 'at most a quarter of an hour, until it is stopped')
  service.clock.advance(900 * SECOND)
  t.equal((await logIn(service, ada.email, { from: NEW })).statusCode, 200)
  await haveFailed(service, ada.email, 5)
  t.equal((await logIn(service, ada.email, { from: NEW })).statusCode, 200, 'from then on it is familiar')
})

t.test('a familiar address of one account is not one of another', async (t) => {
  const { service, ada } = await owner(t)
  const eve = await service.signUp()
  await haveFailed(service, eve.email, 5)
  isProblem(t, await logIn(service, eve.email, { from: HOME }), 'too_many_attempts')
  t.equal((await logIn(service, ada.email, { from: HOME })).statusCode, 200)
})

t.test('a session that proves a password wrongly holds back itself and no other', async (t) => {
  const { service, ada } = await owner(t)
  const other = (await logIn(service, ada.email, { from: HOME })).json().access_token
  for (let failed = 0; failed < 5; failed++) {
    isProblem(t, await changePassword(service, ada.accessToken, WRONG), 'invalid_credentials')
  }
  const held = await changePassword(service, ada.accessToken)
  isProblem(t, held, 'too_many_attempts')
  t.match(held.headers, { 'retry-after': '1', 'ratelimit-policy': '"session";q=5' })
  t.equal((await changePassword(service, other, WRONG)).statusCode, 401, 'another has a count of its own')
  t.equal((await logIn(service, ada.email, { from: NEW })).statusCode, 200)

  service.clock.advance(SECOND)
  isProblem(t, await changePassword(service, ada.accessToken, WRONG), 'invalid_credentials')
  isProblem(t, await changePassword(service, ada.accessToken), 'too_many_attempts')
  service.clock.advance(2 * SECOND)
  t.equal((await changePassword(service, ada.accessToken)).statusCode, 204)
  t.equal((await changePassword(service, ada.accessToken, WRONG)).statusCode, 401, 'and it is cleared')
  t.equal((await changePassword(service, ada.accessToken)).statusCode, 204)
})

t.test('of many that prove at once in a session, five are tried', async (t) => {
  const { service, ada } = await owner(t)
  const tries = Array.from({ length: 30 }, () => changePassword(service, ada.accessToken, WRONG))
  t.strictSame(statuses(await Promise.all(tries)), { 401: 5, 429: 25 })
})

t.test('somebody who guesses behind the same address holds back logins there, and no session', async (t) => {
  const { service, ada } = await owner(t, 'sqlite', { ATTEMPTS_PER_ADDRESS: '20' })
  for (let index = 0; index < 20; index++) {
    await logIn(service, `nobody${index}@example.com`, { password: WRONG, from: NEIGHBOUR })
  }
  const held = await logIn(service, ada.email, { from: HOME })
  isProblem(t, held, 'too_many_attempts')
  t.equal(held.headers['ratelimit-policy'], '"address";q=20;w=60')
  const prove = { name: 'Ada', current_password: PASSWORD }
  const headers = { 'x-forwarded-for': HOME }
  const proved = await service.send('PATCH', '/account', { token: ada.accessToken, body: prove, headers })
  t.equal(proved.statusCode, 200)
  const refresh = { refresh_token: ada.refreshToken }
  t.equal((await service.send('POST', '/auth/refresh', { body: refresh, headers })).statusCode, 200)
  t.equal((await logIn(service, ada.email, { from: NEW })).statusCode, 200)
})

t.test('a disabled account is counted like any other, and its right password clears the count', async (t) => {
  const { service, ada } = await owner(t)
  await service.database.db
    .updateTable('accounts')
    .set({ status: 'disabled' })
    .where('id', '=', ada.accountId)
    .execute()
  await haveFailed(service, ada.email, 5)
  isProblem(t, await logIn(service, ada.email, { from: NEW }), 'too_many_attempts')
  service.clock.advance(SECOND)
  isProblem(t, await logIn(service, ada.email, { from: NEW }), 'account_disabled')
  t.equal(await failAt(service, ada.email, 5), 0)
})

t.test('a scope that the account does not have is refused to who has the right password alone', async (t) => {
  const { service, ada } = await owner(t)
  const wish = (password: string) =>
    service.send('POST', '/auth/login', { body: { email: ada.email, password, scope: 'admin' } })
  isProblem(t, await wish(WRONG), 'invalid_credentials')
  isProblem(t, await wish(PASSWORD), 'invalid_request', ['scope'])
  t.match(service.events('login_failed').at(-1), { account_id: ada.accountId, reason: 'scope_refused' })
})
