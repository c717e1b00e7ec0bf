import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type SignedUp, type TestService } from '../helpers/service.ts'

const ALL = 'account admin revocations:read'

function logIn(service: TestService, { email }: SignedUp, wish: object = {}, password = PASSWORD) {
  return service.send('POST', '/auth/login', { body: { email, password, ...wish } })
}

function refresh(service: TestService, refresh_token: string, wish: object = {}) {
  return service.send('POST', '/auth/refresh', { body: { refresh_token, ...wish } })
}

async function giveRole({ database }: TestService, { accountId }: SignedUp, role = 'admin'): Promise<void> {
  await database.db.insertInto('account_roles').values({ account_id: accountId, role }).execute()
}

async function takeRoles({ database }: TestService, { accountId }: SignedUp, ...roles: string[]) {
  await database.db
    .deleteFrom('account_roles')
    .where('account_id', '=', accountId)
    .where('role', 'in', roles)
    .execute()
}

async function countSessions({ database }: TestService): Promise<number> {
  return (await database.db.selectFrom('sessions').select('id').execute()).length
}

for (const database of databases) {
  t.test(`a login may ask for fewer scopes, and its session keeps to them, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    await giveRole(service, ada)
    t.equal((await logIn(service, ada)).json().scope, ALL, 'without a wish all that the roles bring')

    for (const [wish, scope] of [
      ['account', 'account'],
      ['admin', 'admin'],
      ['revocations:read account', 'account revocations:read'],
      ['account account', 'account'],
      [ALL, ALL],
    ] as const) {
      const reply = await logIn(service, ada, { scope: wish })
      t.equal(reply.statusCode, 200, wish)
      let { access_token: token, refresh_token } = reply.json()
      for (const time of ['the login', 'a refresh', 'another']) {
        const me = (await service.send('GET', '/me', { token })).json()
        t.equal(me.scope, scope, `${wish}: ${time}`)
        t.strictSame(me.roles, ['admin', 'user'], 'it is still who it is')
        const next = (await refresh(service, refresh_token)).json()
        t.equal(next.scope, scope)
        ;({ access_token: token, refresh_token } = next)
      }
    }
  })

  t.test(`a refresh narrows its own token and not the session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    await giveRole(service, ada)
    const opened = (await logIn(service, ada)).json()
    const narrowed = (await refresh(service, opened.refresh_token, { scope: 'account' })).json()
    t.equal(narrowed.scope, 'account')
    t.equal(
      (await service.send('GET', '/me', { token: narrowed.access_token })).json().scope,
      'account',
      'and so says the token',
    )
    const again = (await refresh(service, opened.refresh_token, { scope: 'admin' })).json()
    t.equal(again.scope, 'admin', 'also where the answer was lost')
    t.equal(again.refresh_token, narrowed.refresh_token)
    t.equal((await refresh(service, narrowed.refresh_token)).json().scope, ALL)
  })

  t.test(`what a session was not opened for, no refresh gives, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    await giveRole(service, ada)
    let { refresh_token } = (await logIn(service, ada, { scope: 'account' })).json()
    for (const scope of ['admin', 'account admin', ALL, 'nothing:known']) {
      isProblem(t, await refresh(service, refresh_token, { scope }), 'invalid_request', ['scope'])
    }
    const kept = await refresh(service, refresh_token)
    t.equal(kept.statusCode, 200, 'the refresh token stays good')
    t.equal(kept.json().scope, 'account')
    const previous = refresh_token
    ;({ refresh_token } = kept.json())
    isProblem(t, await refresh(service, previous, { scope: 'admin' }), 'invalid_request', ['scope'])
    t.equal((await refresh(service, refresh_token, { scope: 'account' })).json().scope, 'account')
    t.strictSame(service.events('refresh_reused'), [])
  })

  t.test(
    `roles that are given later widen only what was opened without a wish, on ${database}`,
    async (t) => {
      const service = await createService(t, { database })
      const ada = await service.signUp()
      const narrow = (await logIn(service, ada, { scope: 'account' })).json()
      const open = (await logIn(service, ada)).json()
      await giveRole(service, ada)
      t.equal((await refresh(service, narrow.refresh_token)).json().scope, 'account')
      t.equal((await refresh(service, open.refresh_token)).json().scope, ALL)
    },
  )

  t.test(`roles that are taken away narrow every session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    await giveRole(service, ada)
    const narrow = (await logIn(service, ada, { scope: 'account admin' })).json()
    const open = (await logIn(service, ada)).json()
    await takeRoles(service, ada, 'admin')
    for (const { refresh_token } of [narrow, open]) {
      isProblem(t, await refresh(service, refresh_token, { scope: 'admin' }), 'invalid_request', ['scope'])
    }
    const child = (await refresh(service, narrow.refresh_token)).json()
    t.equal(child.scope, 'account')
    t.equal((await refresh(service, open.refresh_token)).json().scope, 'account')

    await takeRoles(service, ada, 'user')
    const grandchild = (await refresh(service, child.refresh_token)).json()
    t.equal(grandchild.scope, '', 'who has no role has no scope')
    t.match((await service.send('GET', '/me', { token: grandchild.access_token })).json(), {
      roles: [],
      scope: '',
    })
    await giveRole(service, ada)
    t.equal(
      (await refresh(service, grandchild.refresh_token)).json().scope,
      'account admin',
      'and given back, what the session was opened for is there again',
    )
  })
}

t.test('more than the account has is refused, and opens no session', async (t) => {
  const service = await createService(t)
  const ada = await service.signUp()
  for (const scope of ['admin', 'account admin', ALL, 'nothing:known', 'ACCOUNT', 'account:read']) {
    isProblem(t, await logIn(service, ada, { scope }), 'invalid_request', ['scope'])
    isProblem(t, await logIn(service, ada, { scope }, 'not her password'), 'invalid_credentials')
  }
  t.equal(await countSessions(service), 1)
  t.strictSame(service.events('login'), [])
})

t.test('what is no scope is refused, and errors[] names it', async (t) => {
  const service = await createService(t)
  const ada = await service.signUp()
  for (const scope of [
    ...['', ' ', ' account', 'account ', 'account  admin', 'account\tadmin', 'account\n', 'a"b', 'a\\b'],
    ...['é', 'a\u0000', 'x'.repeat(1_001), null, 7, ['account'], { account: true }],
  ]) {
    isProblem(t, await logIn(service, ada, { scope }), 'invalid_request', ['scope'])
    isProblem(t, await refresh(service, ada.refreshToken, { scope }), 'invalid_request', ['scope'])
  }
  t.equal((await refresh(service, ada.refreshToken)).statusCode, 200, 'the refresh token stays good')
})

t.test('configured roles bring their scopes', async (t) => {
  const ROLES = '{"user":["account","cart"],"editor":["articles:write"]}'
  const service = await createService(t, { env: { ROLES } })
  const ada = await service.signUp()
  t.equal((await logIn(service, ada)).json().scope, 'account cart')
  await giveRole(service, ada, 'editor')
  t.equal((await logIn(service, ada)).json().scope, 'account articles:write cart')
  t.equal((await logIn(service, ada, { scope: 'articles:write' })).json().scope, 'articles:write')
})

t.test('/account takes the scope account; to sign out takes none', async (t) => {
  const service = await createService(t)
  const ada = await service.signUp()
  await giveRole(service, ada)
  const { access_token: token } = (await logIn(service, ada, { scope: 'admin' })).json()
  for (const [method, path, body] of [
    ['GET', '/account', undefined],
    ['PATCH', '/account', { name: 'Ada' }],
    ['PUT', '/account/password', { current_password: PASSWORD, new_password: 'another long walk' }],
    ['DELETE', '/account', { current_password: PASSWORD }],
    ['GET', '/account/sessions', undefined],
    ['DELETE', `/account/sessions/${ada.sessionId}`, undefined],
  ] as const) {
    const reply = await service.send(method, path, { token, body })
    isProblem(t, reply, 'insufficient_scope')
    t.match(reply.headers['www-authenticate'], /error="insufficient_scope", .*scope="account"$/)
  }
  t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
  t.equal((await service.send('GET', '/account', { token: ada.accessToken })).statusCode, 200)
  t.equal((await service.send('POST', '/auth/logout', { token })).statusCode, 204)
})
