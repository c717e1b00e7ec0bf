import { randomUUIDv7 } from 'node:crypto'
import t from 'tap'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { someSession } from '../helpers/rows.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`an account is read with its sessions, the last used first, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service)
    const eve = await service.signUp('eve@example.com')
    const created_at = new Date(service.clock()).toISOString()
    service.clock.advance(60_000)
    await service.send('POST', '/auth/login', {
      body: { email: 'eve@example.com', password: PASSWORD, scope: 'account' },
      headers: { 'user-agent': 'curl/8' },
    })
    const reply = await service.send('GET', `/admin/accounts/${eve.accountId}`, { token: admin.accessToken })
    t.equal(reply.statusCode, 200)
    t.equal(reply.headers['cache-control'], 'no-store')
    const { sessions, ...account } = reply.json()
    t.strictSame(account, {
      id: eve.accountId,
      email: 'eve@example.com',
      name: null,
      roles: ['user'],
      status: 'active',
      created_at,
      updated_at: created_at,
      kind: 'person',
      login_blocked_until: null,
    })
    t.equal(sessions.length, 2)
    t.match(sessions[0], { user_agent: 'curl/8', scope: 'account', kind: 'login' })
    t.strictSame(sessions[1], {
      id: eve.sessionId,
      created_at,
      last_used_at: created_at,
      expires_at: new Date(service.clock() - 60_000 + 7 * 86_400_000).toISOString(),
      ip: '127.0.0.1',
      user_agent: 'lightMyRequest',
      current: false,
      kind: 'login',
      scope: null,
    })
    t.notMatch(reply.body, /hash|secret|key|salt/i)

    const own = await service.send('GET', `/admin/accounts/${admin.accountId}`, { token: admin.accessToken })
    t.match(own.json().sessions, [{ id: admin.sessionId, current: true }])
  })

  t.test(`a service is read with its credentials, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const { accountId, credentialId } = await createServiceAccount(service)
    t.match((await service.send('GET', `/admin/accounts/${accountId}`, { token })).json(), {
      email: null,
      name: 'billing',
      kind: 'service',
      sessions: [
        {
          id: credentialId,
          kind: 'credential',
          scope: 'revocations:read',
          user_agent: 'billing',
          expires_at: '9999-12-31T23:59:59.000Z',
          current: false,
        },
      ],
    })
  })

  t.test(`an account is signed out everywhere, at once, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId: actor, accessToken: token } = await signUpAdmin(service)
    const eve = await service.signUp('eve@example.com')
    const bystander = await service.signUp()
    const credentials = { email: 'eve@example.com', password: PASSWORD }
    const other = (await service.send('POST', '/auth/login', { body: credentials })).json().access_token
    const path = `/admin/accounts/${eve.accountId}`
    const { updated_at } = (await service.send('GET', path, { token })).json()
    service.clock.advance(1_000)

    const reply = await service.send('DELETE', `${path}/sessions`, { token })
    t.equal(reply.statusCode, 204)
    t.equal(reply.body, '')
    for (const access of [eve.accessToken, other]) {
      isProblem(t, await service.send('GET', '/me', { token: access }), 'token_revoked')
    }
    const refresh = { refresh_token: eve.refreshToken }
    isProblem(t, await service.send('POST', '/auth/refresh', { body: refresh }), 'refresh_token_invalid')
    t.equal((await service.send('GET', '/me', { token: bystander.accessToken })).statusCode, 200)
    t.match((await service.send('GET', path, { token })).json(), {
      sessions: [],
      status: 'active',
      updated_at,
    })
    t.equal((await service.send('POST', '/auth/login', { body: credentials })).statusCode, 200)
    t.match(service.events('account_signed_out'), [{ actor, subject: eve.accountId, sessions_ended: 2 }])
    t.equal((await service.send('DELETE', `${path}/sessions`, { token })).statusCode, 204)
    t.equal((await service.send('DELETE', `${path}/sessions`, { token })).statusCode, 204, 'also of none')
  })

  t.test(`credentials are signed out as well, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const { accountId, credential, accessToken } = await createServiceAccount(service)
    await service.send('DELETE', `/admin/accounts/${accountId}/sessions`, { token })
    isProblem(t, await service.send('GET', '/revocations', { token: accessToken }), 'token_revoked')
    const exchange = await service.send('POST', '/auth/token', { body: { credential } })
    isProblem(t, exchange, 'invalid_credentials')
  })
}

t.test('who signs themself out everywhere is signed out', async (t) => {
  const service = await createService(t)
  const { accountId, accessToken: token } = await signUpAdmin(service)
  t.equal((await service.send('DELETE', `/admin/accounts/${accountId}/sessions`, { token })).statusCode, 204)
  isProblem(t, await service.send('GET', '/admin/accounts', { token }), 'token_revoked')
})

t.test('of many sessions the hundred that were used last are shown, and none that has expired', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await signUpAdmin(service)
  const { accountId } = await service.signUp()
  const now = service.clock()
  const rows = Array.from({ length: 120 }, (_, i) =>
    someSession(accountId, {
      id: randomUUIDv7(),
      last_used_at: now + i,
      expires_at: i < 100 ? now + 60_000 : now,
    }),
  )
  await service.database.db.insertInto('sessions').values(rows).execute()
  const { sessions } = (await service.send('GET', `/admin/accounts/${accountId}`, { token })).json()
  t.strictSame(
    sessions.map(({ id }: { id: string }) => id),
    rows
      .slice(0, 100)
      .reverse()
      .map(({ id }) => id),
  )
})
