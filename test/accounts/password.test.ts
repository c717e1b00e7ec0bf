import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

const NEW_PASSWORD = 'another walk in the hills'

for (const database of databases) {
  t.test(`a new password ends every other session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accountId, sessionId, accessToken: token, refreshToken } = await service.signUp()
    const logIn = async (password: string) =>
      service.send('POST', '/auth/login', { body: { email, password } })
    const others = await Promise.all([logIn(PASSWORD), logIn(PASSWORD)])
    const stranger = await service.signUp()

    const changed = await service.send('PUT', '/account/password', {
      token,
      body: { current_password: PASSWORD, new_password: NEW_PASSWORD },
    })
    t.equal(changed.statusCode, 204)
    t.equal(changed.body, '')
    t.equal(changed.headers['cache-control'], 'no-store')

    for (const other of others) {
      const { access_token, refresh_token } = other.json()
      isProblem(t, await service.send('GET', '/me', { token: access_token }), 'token_revoked')
      isProblem(
        t,
        await service.send('POST', '/auth/refresh', { body: { refresh_token } }),
        'refresh_token_invalid',
      )
    }
    t.equal((await service.send('GET', '/me', { token })).statusCode, 200, 'this session stays')
    t.equal(
      (await service.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } })).statusCode,
      200,
    )
    t.equal((await service.send('GET', '/me', { token: stranger.accessToken })).statusCode, 200)

    isProblem(t, await logIn(PASSWORD), 'invalid_credentials')
    t.equal((await logIn(NEW_PASSWORD)).statusCode, 200)
    t.match(service.events('password_changed'), [
      { account_id: accountId, session_id: sessionId, sessions_ended: 2 },
    ])
  })
}

t.test('a wrong current password changes nothing and is recorded', async (t) => {
  const service = await createService(t)
  const { email, accountId, sessionId, accessToken: token } = await service.signUp()
  const reply = await service.send('PUT', '/account/password', {
    token,
    body: { current_password: 'not her password', new_password: NEW_PASSWORD },
  })
  isProblem(t, reply, 'invalid_credentials')
  t.equal(reply.headers['www-authenticate'], 'Bearer realm="latchkey"')
  t.match(service.events('password_check_failed'), [{ account_id: accountId, session_id: sessionId }])
  const login = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
  t.equal(login.statusCode, 200)
})

t.test('a weak new password is refused by name, to who knows the current one', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp('adalovelace@example.com')
  await service.send('PATCH', '/account', { token, body: { name: 'Countess' } })
  for (const new_password of ['too short', 'adalovelace countess']) {
    const change = (current_password: string) =>
      service.send('PUT', '/account/password', { token, body: { current_password, new_password } })
    isProblem(t, await change(PASSWORD), 'password_too_weak', ['new_password'])
    isProblem(t, await change('not her password'), 'invalid_credentials')
  }
})

t.test('what is no change of password is refused, and errors[] names each field', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  const good = { current_password: PASSWORD, new_password: NEW_PASSWORD }
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [{}, 'current_password', 'new_password'],
    [{ ...good, current_password: '' }, 'current_password'],
    [{ ...good, current_password: 7 }, 'current_password'],
    [{ ...good, new_password: null }, 'new_password'],
    [{ ...good, new_password: 'x'.repeat(129) }, 'new_password'],
    [{ ...good, new_password: `${NEW_PASSWORD}\ud800` }, 'new_password'],
    [{ ...good, new_password: `${NEW_PASSWORD}\t` }, 'new_password'],
    [{ ...good, email: 'ada@example.com' }, ''],
  ]
  for (const [body, ...paths] of refused) {
    isProblem(t, await service.send('PUT', '/account/password', { token, body }), 'invalid_request', paths)
  }
  isProblem(t, await service.send('PUT', '/account/password', { body: good }), 'token_missing')
})
