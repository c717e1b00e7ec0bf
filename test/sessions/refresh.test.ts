import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

function refresh(service: TestService, refresh_token: unknown) {
  return service.send('POST', '/auth/refresh', { body: { refresh_token } })
}

for (const database of databases) {
  t.test(`a refresh gives new tokens of the same session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, sessionId, refreshToken } = await service.signUp()
    service.clock.advance(60_000)
    const reply = await refresh(service, refreshToken)
    t.equal(reply.statusCode, 200)
    t.equal(reply.headers['cache-control'], 'no-store')
    const { access_token, refresh_token, ...terms } = reply.json()
    t.strictSame(terms, {
      token_type: 'Bearer',
      expires_in: 600,
      refresh_token_expires_in: 7 * 86_400,
      scope: 'account',
    })
    t.not(refresh_token, refreshToken)
    t.match((await service.send('GET', '/me', { token: access_token })).json(), {
      sub: accountId,
      sid: sessionId,
      iat: Math.floor(service.clock() / 1_000),
    })
    t.equal((await refresh(service, refresh_token)).statusCode, 200)
  })

  t.test(`for 10 s the previous token gets the same child, and no fork, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { refreshToken } = await service.signUp()
    const child = (await refresh(service, refreshToken)).json()
    service.clock.advance(10_000)
    const again = (await refresh(service, refreshToken)).json()
    t.equal(again.refresh_token, child.refresh_token)
    t.equal(again.refresh_token_expires_in, child.refresh_token_expires_in - 10, 'and the same end')
    for (const token of [child.access_token, again.access_token]) {
      t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
    }
    t.equal((await refresh(service, child.refresh_token)).statusCode, 200)
    t.strictSame(service.events('refresh_reused'), [])
  })

  t.test(`a replayed refresh token ends its session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accountId, sessionId, accessToken, refreshToken } = await service.signUp()
    const other = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
    const child = (await refresh(service, refreshToken)).json()
    service.clock.advance(10_001)

    const replayed = await refresh(service, refreshToken)
    isProblem(t, replayed, 'refresh_token_reused')
    t.match(replayed.headers['www-authenticate'], /^Bearer realm="latchkey", error="invalid_token", /)
    for (const token of [accessToken, child.access_token]) {
      isProblem(t, await service.send('GET', '/me', { token }), 'token_revoked')
    }
    isProblem(t, await refresh(service, child.refresh_token), 'refresh_token_invalid')
    isProblem(t, await refresh(service, refreshToken), 'refresh_token_invalid')
    t.match(service.events('refresh_reused'), [{ account_id: accountId, session_id: sessionId }])
    t.equal((await refresh(service, other.json().refresh_token)).statusCode, 200, 'other sessions stay')
  })
}

t.test('an older token than the previous one ends the session even within 10 s', async (t) => {
  const service = await createService(t)
  const { refreshToken } = await service.signUp()
  const child = (await refresh(service, refreshToken)).json()
  const grandchild = (await refresh(service, child.refresh_token)).json()
  isProblem(t, await refresh(service, refreshToken), 'refresh_token_reused')
  isProblem(t, await refresh(service, grandchild.refresh_token), 'refresh_token_invalid')
})

t.test('a disabled account is not refreshed', async (t) => {
  const service = await createService(t)
  const { accountId, refreshToken } = await service.signUp()
  const setStatus = (status: 'active' | 'disabled') =>
    service.database.db.updateTable('accounts').set({ status }).where('id', '=', accountId).execute()
  await setStatus('disabled')
  isProblem(t, await refresh(service, refreshToken), 'account_disabled')
  await setStatus('active')
  t.equal((await refresh(service, refreshToken)).statusCode, 200, 'the token was not used up')
})

t.test('what an account may do now is what its next token says', async (t) => {
  const service = await createService(t)
  const { accountId, refreshToken } = await service.signUp()
  await service.database.db
    .insertInto('account_roles')
    .values({ account_id: accountId, role: 'admin' })
    .execute()
  const tokens = (await refresh(service, refreshToken)).json()
  t.equal(tokens.scope, 'account admin revocations:read')
  const me = await service.send('GET', '/me', { token: tokens.access_token })
  t.strictSame(me.json().roles, ['admin', 'user'])
})

t.test('what is no refresh is refused, and errors[] names each wrong field', async (t) => {
  const service = await createService(t)
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [{}, 'refresh_token'],
    [{ refresh_token: '' }, 'refresh_token'],
    [{ refresh_token: null }, 'refresh_token'],
    [{ refresh_token: 'x'.repeat(257) }, 'refresh_token'],
    [{ refresh_token: 'lkr_x', grant_type: 'refresh_token' }, ''],
  ]
  for (const [body, ...paths] of refused) {
    isProblem(t, await service.send('POST', '/auth/refresh', { body }), 'invalid_request', paths)
  }
})
