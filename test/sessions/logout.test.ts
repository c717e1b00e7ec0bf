import type { Test } from 'tap'
import t from 'tap'
import { createSessionStore } from '../../src/sessions/store.ts'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { PROMPTLY, poll } from '../helpers/poll.ts'
import { isProblem } from '../helpers/problems.ts'
import { nothing } from '../helpers/rows.ts'
import {
  createService,
  type DatabaseName,
  databases,
  PASSWORD,
  type SignedUp,
  type TestService,
} from '../helpers/service.ts'

// Three sessions of one account, and one of somebody else.
async function open(t: Test, database: DatabaseName) {
  const service = await createService(t, { database })
  const ada = await service.signUp()
  const eve = await service.signUp()
  const logIn = async () => {
    const body = { email: ada.email, password: PASSWORD }
    const { access_token, refresh_token } = (await service.send('POST', '/auth/login', { body })).json()
    return { accessToken: access_token as string, refreshToken: refresh_token as string }
  }
  const sessions = [ada, await logIn(), await logIn(), eve]

  /** Asserts of each session whether it is open, to the guard and to a refresh. */
  async function areOpen(t: Test, expected: readonly boolean[]): Promise<void> {
    for (const [index, { accessToken, refreshToken }] of sessions.entries()) {
      const me = await service.send('GET', '/me', { token: accessToken })
      const refreshed = await service.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } })
      if (expected[index]) {
        t.strictSame([me.statusCode, refreshed.statusCode], [200, 200], `session ${index} is open`)
      } else {
        isProblem(t, me, 'token_revoked')
        isProblem(t, refreshed, 'refresh_token_invalid')
      }
    }
  }
  return { service, token: ada.accessToken, ada, areOpen }
}

/** Ends a session as another node does: in the database, and not in this node's memory. */
async function endElsewhere({ database, clock }: TestService, { accountId, sessionId }: SignedUp) {
  await createSessionStore(database.db).end(accountId, { only: sessionId }, clock(), nothing)
}

/** Waits until the guard has heard that a token's session ended. */
async function isRefused(service: TestService, token: string): Promise<void> {
  const refused = async () => (await service.send('GET', '/me', { token })).statusCode === 401
  await poll('its refusal', refused, PROMPTLY)
}

for (const database of databases) {
  for (const { body, expected, ended } of [
    { body: { scope: 'this' }, expected: [false, true, true, true], ended: 1 },
    { body: { scope: 'others' }, expected: [true, false, false, true], ended: 2 },
    { body: { scope: 'all' }, expected: [false, false, false, true], ended: 3 },
  ]) {
    t.test(`who logs out of ${body.scope} is out at once, on ${database}`, async (t) => {
      const { service, token, ada, areOpen } = await open(t, database)
      const reply = await service.send('POST', '/auth/logout', { token, body })
      t.equal(reply.statusCode, 204)
      t.equal(reply.body, '')
      t.equal(reply.headers['cache-control'], 'no-store')
      await areOpen(t, expected)
      t.match(service.events('logout'), [
        { account_id: ada.accountId, session_id: ada.sessionId, sessions_ended: ended },
      ])
    })
  }
}

const json = { 'content-type': 'application/json' }
for (const [name, options] of Object.entries({
  'no body': {},
  'an empty body': { headers: json, body: '' },
  'an empty form': { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: '' },
  'an empty object': { body: {} },
  null: { headers: json, body: 'null' },
})) {
  t.test(`a log-out with ${name} means this session`, async (t) => {
    const { service, token, areOpen } = await open(t, 'sqlite')
    t.equal((await service.send('POST', '/auth/logout', { token, ...options })).statusCode, 204)
    await areOpen(t, [false, true, true, true])
  })
}

t.test('the second log-out is refused, for the session has ended', async (t) => {
  const { service, token } = await open(t, 'sqlite')
  await service.send('POST', '/auth/logout', { token })
  const again = await service.send('POST', '/auth/logout', { token })
  isProblem(t, again, 'token_revoked')
  t.match(again.headers['www-authenticate'], /error="invalid_token"/)
})

t.test('of two log-outs at once both succeed', async (t) => {
  const { service, token, areOpen } = await open(t, 'postgres')
  const replies = await Promise.all([1, 2].map(() => service.send('POST', '/auth/logout', { token })))
  t.strictSame(
    replies.map((reply) => reply.statusCode),
    [204, 204],
  )
  await areOpen(t, [false, true, true, true])
})

t.test('who logs out of a session that another node ended is out here too', async (t) => {
  const { service, token, ada } = await open(t, 'sqlite')
  await service.database.db.deleteFrom('sessions').where('id', '=', ada.sessionId).execute()
  t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
  t.equal((await service.send('POST', '/auth/logout', { token })).statusCode, 204)
  isProblem(t, await service.send('GET', '/me', { token }), 'token_revoked')
})

for (const database of databases) {
  t.test(
    `a session that ended elsewhere is refused wherever the database is asked, on ${database}`,
    async (t) => {
      const { service, token, ada } = await open(t, database)
      // Before this node can have heard of it.
      await service.database.db.deleteFrom('sessions').where('id', '=', ada.sessionId).execute()
      for (const [method, path] of [
        ['GET', '/account'],
        ['PATCH', '/account'],
        ['PUT', '/account/password'],
        ['DELETE', '/account'],
        ['GET', '/account/sessions'],
        ['DELETE', `/account/sessions/${ada.sessionId}`],
      ] as const) {
        isProblem(t, await service.send(method, path, { token }), 'token_revoked')
      }
    },
  )

  t.test(
    `a session that another node ended is refused everywhere within a second, on ${database}`,
    async (t) => {
      const { service, token, ada } = await open(t, database)
      const me = () => service.send('GET', '/me', { token })
      t.equal((await me()).statusCode, 200)
      await createSessionStore(service.database.db).end(
        ada.accountId,
        { only: ada.sessionId },
        service.clock(),
        nothing,
      )
      await poll('its refusal', async () => (await me()).statusCode === 401, PROMPTLY)
      isProblem(t, await me(), 'token_revoked')
    },
  )
}

t.test('a session that ended elsewhere can sign out nobody else', async (t) => {
  for (const scope of ['others', 'all']) {
    const { service, token, ada, areOpen } = await open(t, 'sqlite')
    await endElsewhere(service, ada)
    isProblem(t, await service.send('POST', '/auth/logout', { token, body: { scope } }), 'token_revoked')
    await isRefused(service, token)
    await areOpen(t, [false, true, true, true])
  }
})

t.test('without the scope account a token signs out its own session alone', async (t) => {
  const service = await createService(t)
  const root = await signUpAdmin(service)
  const logIn = { email: root.email, password: PASSWORD, scope: 'admin' }
  const narrow = (await service.send('POST', '/auth/login', { body: logIn })).json().access_token
  const billing = await createServiceAccount(service)
  for (const token of [narrow, billing.accessToken]) {
    for (const scope of ['others', 'all']) {
      const reply = await service.send('POST', '/auth/logout', { token, body: { scope } })
      isProblem(t, reply, 'insufficient_scope')
      t.match(reply.headers['www-authenticate'], /error="insufficient_scope".* scope="account"/)
    }
    t.equal((await service.send('GET', '/me', { token })).statusCode, 200, 'and nothing has ended')
    t.equal((await service.send('POST', '/auth/logout', { token })).statusCode, 204)
    isProblem(t, await service.send('GET', '/me', { token }), 'token_revoked')
  }
  t.equal((await service.send('GET', '/me', { token: root.accessToken })).statusCode, 200)
})

t.test('what is no log-out is refused, and ends nothing', async (t) => {
  const { service, token, areOpen } = await open(t, 'sqlite')
  const refused: readonly [body: unknown, path: string][] = [
    [{ scope: 'everything' }, 'scope'],
    [{ scope: null }, 'scope'],
    [{ scope: ['all'] }, 'scope'],
    [{ all: true }, ''],
    [[], ''],
  ]
  for (const [body, path] of refused) {
    isProblem(t, await service.send('POST', '/auth/logout', { token, body }), 'invalid_request', [path])
  }
  isProblem(t, await service.send('POST', '/auth/logout'), 'token_missing')
  await areOpen(t, [true, true, true, true])
})
