import t from 'tap'
import { createServiceAccount, refreshed, signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

async function revocations({ database }: TestService) {
  return database.db.selectFrom('revocations').selectAll().orderBy('seq').execute()
}

for (const database of databases) {
  t.test(`who is disabled is refused at once, and lets nothing be used again, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const eve = await service.signUp('eve@example.com')
    const credentials = { email: 'eve@example.com', password: PASSWORD }
    const other = (await service.send('POST', '/auth/login', { body: credentials })).json()
    service.clock.advance(1_000)

    const path = `/admin/accounts/${eve.accountId}`
    const disabled = await service.send('PATCH', path, { token, body: { status: 'disabled' } })
    t.equal(disabled.statusCode, 200)
    t.equal(disabled.headers['cache-control'], 'no-store')
    t.match(disabled.json(), {
      id: eve.accountId,
      status: 'disabled',
      kind: 'person',
      updated_at: new Date(service.clock()).toISOString(),
    })
    for (const access of [eve.accessToken, other.access_token]) {
      isProblem(t, await service.send('GET', '/me', { token: access }), 'token_revoked')
      isProblem(t, await service.send('GET', '/account', { token: access }), 'token_revoked')
    }
    for (const refresh_token of [eve.refreshToken, other.refresh_token]) {
      const reply = await service.send('POST', '/auth/refresh', { body: { refresh_token } })
      isProblem(t, reply, 'account_disabled')
    }
    isProblem(t, await service.send('POST', '/auth/login', { body: credentials }), 'account_disabled')
    const guess = { ...credentials, password: 'not her password' }
    isProblem(t, await service.send('POST', '/auth/login', { body: guess }), 'invalid_credentials')
    t.equal((await revocations(service)).length, 2, 'one for each session')
    const read = (await service.send('GET', path, { token })).json()
    t.strictSame(read.sessions, [])
    for (const again of [{ status: 'disabled' }, { status: 'active' }, { status: 'disabled' }]) {
      await service.send('PATCH', path, { token, body: again })
    }
    await service.send('DELETE', `${path}/sessions`, { token })
    t.equal((await revocations(service)).length, 2, 'they end once')

    const enabled = await service.send('PATCH', path, { token, body: { status: 'active' } })
    t.equal(enabled.json().status, 'active')
    isProblem(t, await service.send('GET', '/me', { token: eve.accessToken }), 'token_revoked')
    const refresh = { refresh_token: eve.refreshToken }
    isProblem(t, await service.send('POST', '/auth/refresh', { body: refresh }), 'refresh_token_invalid')
    const login = await service.send('POST', '/auth/login', { body: credentials })
    t.equal(login.statusCode, 200, 'who is enabled logs in again')
    const me = await service.send('GET', '/me', { token: login.json().access_token })
    t.equal(me.statusCode, 200)
  })

  t.test(`a service that is disabled has no credential any more, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const { accountId, credential, accessToken } = await createServiceAccount(service)
    const path = `/admin/accounts/${accountId}`
    t.equal((await service.send('GET', '/revocations', { token: accessToken })).statusCode, 200)
    await service.send('PATCH', path, { token, body: { status: 'disabled' } })
    isProblem(t, await service.send('GET', '/revocations', { token: accessToken }), 'token_revoked')
    for (const status of ['disabled', 'active']) {
      await service.send('PATCH', path, { token, body: { status } })
      const exchange = await service.send('POST', '/auth/token', { body: { credential } })
      isProblem(t, exchange, 'invalid_credentials')
    }
  })

  t.test(`other roles are in force at once, and a refresh brings them, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const eve = await service.signUp('eve@example.com')
    const path = `/admin/accounts/${eve.accountId}`

    const promoted = await service.send('PATCH', path, { token, body: { roles: ['user', 'admin'] } })
    t.strictSame(promoted.json().roles, ['admin', 'user'])
    isProblem(t, await service.send('GET', '/me', { token: eve.accessToken }), 'token_stale')
    const asAdmin = await refreshed(service, eve.refreshToken)
    const me = await service.send('GET', '/me', { token: asAdmin.accessToken })
    t.match(me.json(), { roles: ['admin', 'user'], scope: 'account admin revocations:read' })
    t.equal((await service.send('GET', '/admin/accounts', { token: asAdmin.accessToken })).statusCode, 200)

    await service.send('PATCH', path, { token, body: { roles: ['user'] } })
    isProblem(t, await service.send('GET', '/admin/accounts', { token: asAdmin.accessToken }), 'token_stale')
    const asUser = await refreshed(service, asAdmin.refreshToken)
    t.match((await service.send('GET', '/me', { token: asUser.accessToken })).json(), { roles: ['user'] })
    isProblem(
      t,
      await service.send('GET', '/admin/accounts', { token: asUser.accessToken }),
      'insufficient_role',
    )
    t.match(
      await revocations(service),
      ['admin user', 'user'].map((roles) => ({ account_id: eve.accountId, session_id: null, roles })),
    )
    t.equal((await service.send('GET', '/me', { token })).statusCode, 200, 'nobody else is stale')
  })

  t.test(`what changes nothing revokes nothing, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token, accountId } = await signUpAdmin(service)
    const { accountId: eve, accessToken } = await service.signUp()
    const same = [{ status: 'active' }, { roles: ['user'] }, { name: null }]
    for (const body of same) {
      service.clock.advance(1_000)
      const reply = await service.send('PATCH', `/admin/accounts/${eve}`, { token, body })
      t.match(reply.json(), { status: 'active', roles: ['user'], name: null })
    }
    const reordered = { token, body: { roles: ['user', 'admin'] } }
    t.equal((await service.send('PATCH', `/admin/accounts/${accountId}`, reordered)).statusCode, 200)
    t.equal((await service.send('GET', '/me', { token: accessToken })).statusCode, 200)
    t.strictSame(await revocations(service), [])
    for (const event of ['account_disabled', 'account_enabled', 'account_roles_changed', 'account_renamed']) {
      t.strictSame(service.events(event), [], event)
    }
  })

  t.test(`everything is changed at once, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token, accountId: actor } = await signUpAdmin(service)
    const { accountId: subject } = await service.signUp()
    const body = { status: 'disabled', roles: ['admin'], name: ' Eve ' }
    const reply = await service.send('PATCH', `/admin/accounts/${subject}`, { token, body })
    t.match(reply.json(), { status: 'disabled', roles: ['admin'], name: 'Eve' })
    const read = (await service.send('GET', `/admin/accounts/${subject}`, { token })).json()
    t.match(read, { ...reply.json(), sessions: [] })
    t.match(service.events('account_disabled'), [{ actor, subject, sessions_ended: 1 }])
    t.match(service.events('account_roles_changed'), [
      { actor, roles_before: ['user'], roles_after: ['admin'] },
    ])
    t.match(service.events('account_renamed'), [{ actor, subject }])
  })

  t.test(`of changes of roles at once the last one is in force, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const eve = await service.signUp()
    const path = `/admin/accounts/${eve.accountId}`
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        [['user'], ['admin'], ['user', 'admin'], ['user']].map((roles) =>
          service.send('PATCH', path, { token, body: { roles } }),
        ),
      )
      const { roles } = (await service.send('GET', path, { token })).json()
      const last = (await revocations(service))
        .filter(({ account_id }) => account_id === eve.accountId)
        .at(-1)
      t.equal(last?.roles ?? 'user', roles.join(' '), 'the last revocation tells the roles that there are')
    }
  })
}

t.test('what an account can not be changed to is refused, and changes nothing', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await signUpAdmin(service)
  const { accountId } = await service.signUp()
  const path = `/admin/accounts/${accountId}`
  const before = (await service.send('GET', path, { token })).json()
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [{}, ''],
    [[], ''],
    [{ status: 'gone' }, 'status'],
    [{ status: null }, 'status'],
    [{ roles: [] }, 'roles'],
    [{ roles: 'admin' }, 'roles'],
    [{ roles: null }, 'roles'],
    [{ roles: ['king'] }, 'roles.0'],
    [{ roles: ['user', 'king', 'admin', 'queen'] }, 'roles.1', 'roles.3'],
    [{ roles: ['user', 7] }, 'roles.1'],
    [{ roles: ['user admin'] }, 'roles.0'],
    [{ roles: ['__proto__'] }, 'roles.0'],
    [{ roles: ['user', 'user'] }, 'roles'],
    [{ roles: Array.from({ length: 17 }, (_, i) => `role${i}`) }, 'roles'],
    [{ name: '' }, 'name'],
    [{ name: 'Eve\u0000' }, 'name'],
    [{ name: '\ud800' }, 'name'],
    [{ status: 'disabled', roles: ['king'] }, 'roles.0'],
    [{ name: 'Eve', email: 'eve@example.com' }, ''],
    [{ name: 'Eve', kind: 'service' }, ''],
    [{ name: 'Eve', password: PASSWORD }, ''],
  ]
  for (const [body, ...paths] of refused) {
    isProblem(t, await service.send('PATCH', path, { token, body }), 'invalid_request', paths)
  }
  t.strictSame((await service.send('GET', path, { token })).json(), before)
})

t.test('the roles that can be given are those that are configured', async (t) => {
  const service = await createService(t, { env: { ROLES: '{"auditor":["audit:read"]}' } })
  const { accessToken: token } = await signUpAdmin(service)
  const eve = await service.signUp()
  const path = `/admin/accounts/${eve.accountId}`
  t.equal((await service.send('PATCH', path, { token, body: { roles: ['auditor'] } })).statusCode, 200)
  const { accessToken } = await refreshed(service, eve.refreshToken)
  t.match((await service.send('GET', '/me', { token: accessToken })).json(), { scope: 'audit:read' })
})
