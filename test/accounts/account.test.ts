import t from 'tap'
import { createApp } from '../../src/app.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { isProblem } from '../helpers/problems.ts'
import { CHEAP_ARGON2, createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`an account is read and changed by its owner, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, accessToken: token } = await service.signUp('ada@example.com')
    const created_at = new Date(service.clock()).toISOString()
    const account = {
      id: accountId,
      email: 'ada@example.com',
      name: null,
      roles: ['user'],
      status: 'active',
      created_at,
    }
    const read = await service.send('GET', '/account', { token })
    t.equal(read.statusCode, 200)
    t.equal(read.headers['cache-control'], 'no-store')
    t.strictSame(read.json(), { ...account, updated_at: created_at })

    service.clock.advance(60_000)
    const updated_at = new Date(service.clock()).toISOString()
    const named = await service.send('PATCH', '/account', { token, body: { name: ' Ada ' } })
    t.equal(named.statusCode, 200)
    t.strictSame(named.json(), { ...account, name: 'Ada', updated_at })
    t.strictSame((await service.send('GET', '/account', { token })).json(), named.json())

    const unnamed = await service.send('PATCH', '/account', { token, body: { name: null } })
    t.equal(unnamed.json().name, null, 'null removes the name')
    t.equal((await service.send('PATCH', '/account', { token, body: { name: null } })).statusCode, 200)
  })

  t.test(`the address changes by the password alone, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await service.signUp('ada@example.com')
    const change = { email: ' Lovelace@EXAMPLE.org', current_password: PASSWORD }

    isProblem(
      t,
      await service.send('PATCH', '/account', {
        token,
        body: { ...change, current_password: 'not her password' },
      }),
      'invalid_credentials',
    )
    t.equal((await service.send('GET', '/account', { token })).json().email, 'ada@example.com')
    t.equal(service.events('password_check_failed').length, 1)

    await service.send('PATCH', '/account', { token, body: { name: 'Ada' } })
    const changed = await service.send('PATCH', '/account', { token, body: change })
    t.equal(changed.statusCode, 200)
    t.equal(changed.json().email, 'Lovelace@example.org')
    t.equal(changed.json().name, 'Ada', 'the name stays')
    t.equal(service.events('email_changed').length, 1)

    const both = await service.send('PATCH', '/account', {
      token,
      body: { ...change, email: 'countess@example.org', name: null },
    })
    t.match(both.json(), { email: 'countess@example.org', name: null })

    const logIn = (email: string) =>
      service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
    t.equal((await logIn('countess@example.org')).statusCode, 200)
    t.equal((await logIn('ada@example.com')).statusCode, 401)
    t.ok(await service.signUp('ada@example.com'), 'the old address is free')
  })

  t.test(`a password that is given has to be right, whatever changes, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await service.signUp()
    const wrong = await service.send('PATCH', '/account', {
      token,
      body: { name: 'Ada', current_password: 'not her password' },
    })
    isProblem(t, wrong, 'invalid_credentials')
    t.equal((await service.send('GET', '/account', { token })).json().name, null)
    const right = { name: 'Ada', current_password: PASSWORD }
    t.equal((await service.send('PATCH', '/account', { token, body: right })).json().name, 'Ada')
    t.strictSame(service.events('email_changed'), [])
  })

  t.test(`an address that has an account can't be taken, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    await service.signUp('grace@example.com')
    const { accessToken: token } = await service.signUp('ada@example.com')
    const body = { email: 'GRACE@example.com', name: 'Grace', current_password: PASSWORD }
    isProblem(t, await service.send('PATCH', '/account', { token, body }), 'email_taken')
    t.match((await service.send('GET', '/account', { token })).json(), {
      email: 'ada@example.com',
      name: null,
    })
    const own = await service.send('PATCH', '/account', {
      token,
      body: { email: 'ADA@example.com', current_password: PASSWORD },
    })
    t.equal(own.json().email, 'ADA@example.com', 'but its own can be written in another way')
  })

  t.test(`a password that was changed meanwhile no longer changes the address, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, accessToken } = await service.signUp('ada@example.com')
    const passwords = await createPasswords(CHEAP_ARGON2)
    const newHash = await passwords.hash('another walk in the hills')
    const app = createApp({
      ...service,
      logger: service.app.log,
      passwords: {
        ...passwords,
        // The password was right when it was looked at, and is changed before the address is.
        async verify(hash, password) {
          const right = await passwords.verify(hash, password)
          const { db } = service.database
          await db
            .updateTable('accounts')
            .set({ password_hash: newHash })
            .where('id', '=', accountId)
            .execute()
          return right
        },
      },
    })
    t.teardown(() => app.close())
    const reply = await app.inject({
      method: 'PATCH',
      url: '/account',
      headers: { authorization: `Bearer ${accessToken}` },
      payload: { email: 'eve@example.com', current_password: PASSWORD },
    })
    isProblem(t, reply, 'invalid_credentials')
    const account = await service.send('GET', '/account', { token: accessToken })
    t.equal(account.json().email, 'ada@example.com')
  })
}

t.test('what changes nothing or is wrong is refused, and errors[] names each field', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [{}, ''],
    [{ current_password: PASSWORD }, ''],
    [{ name: '' }, 'name'],
    [{ name: 7 }, 'name'],
    [{ name: 'Ada\u0000' }, 'name'],
    [{ email: 'ada@example.com' }, 'current_password'],
    [{ email: 'ada', current_password: PASSWORD }, 'email'],
    [{ email: null, current_password: PASSWORD }, 'email'],
    [{ email: 'ada@example.com', current_password: '' }, 'current_password'],
    [{ email: 'ada@example.com', current_password: null }, 'current_password'],
    [{ name: 'Ada', roles: ['admin'] }, ''],
    [{ name: 'Ada', status: 'active' }, ''],
  ]
  for (const [body, ...paths] of refused) {
    isProblem(t, await service.send('PATCH', '/account', { token, body }), 'invalid_request', paths)
  }
})

t.test('the token of an account that is gone is refused where the account is asked for', async (t) => {
  const service = await createService(t)
  const { accessToken: token, accountId } = await service.signUp()
  // As another node would do it.
  await service.database.db.deleteFrom('accounts').where('id', '=', accountId).execute()

  const proof = { current_password: PASSWORD }
  const requests = [
    service.send('GET', '/account', { token }),
    service.send('PATCH', '/account', { token, body: { name: 'Ada' } }),
    service.send('PATCH', '/account', { token, body: { ...proof, email: 'ada@example.com' } }),
    service.send('PUT', '/account/password', { token, body: { ...proof, new_password: PASSWORD } }),
    service.send('DELETE', '/account', { token, body: proof }),
  ]
  for (const reply of await Promise.all(requests)) isProblem(t, reply, 'token_revoked')
})

t.test('without a token there is no account', async (t) => {
  const service = await createService(t)
  for (const method of ['GET', 'PATCH', 'DELETE'] as const) {
    const reply = await service.send(method, '/account')
    isProblem(t, reply, 'token_missing')
    t.equal(reply.headers['www-authenticate'], 'Bearer realm="latchkey"')
  }
})
