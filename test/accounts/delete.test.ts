import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`a deleted account is erased and its sessions end at once, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accountId, accessToken: token, refreshToken } = await service.signUp()
    const other = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
    const stranger = await service.signUp()

    const deleted = await service.send('DELETE', '/account', { token, body: { current_password: PASSWORD } })
    t.equal(deleted.statusCode, 204)
    t.equal(deleted.body, '')
    t.equal(deleted.headers['cache-control'], 'no-store')

    for (const access of [token, other.json().access_token]) {
      isProblem(t, await service.send('GET', '/me', { token: access }), 'token_revoked')
    }
    for (const refresh_token of [refreshToken, other.json().refresh_token]) {
      isProblem(
        t,
        await service.send('POST', '/auth/refresh', { body: { refresh_token } }),
        'refresh_token_invalid',
      )
    }
    isProblem(
      t,
      await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } }),
      'invalid_credentials',
    )
    for (const [table, column] of [
      ['accounts', 'id'],
      ['account_roles', 'account_id'],
      ['sessions', 'account_id'],
    ] as const) {
      const rows = await service.database.db
        .selectFrom(table)
        .selectAll()
        .where(column, '=', accountId)
        .execute()
      t.strictSame(rows, [], `${table} keeps nothing of it`)
    }
    t.match(service.events('account_deleted'), [{ account_id: accountId, sessions_ended: 2 }])

    t.equal((await service.send('GET', '/me', { token: stranger.accessToken })).statusCode, 200)
    const again = await service.signUp(email)
    t.not(again.accountId, accountId, 'the address is free, for another account')
  })
}

t.test('a wrong password deletes nothing', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  const body = { current_password: 'not her password' }
  isProblem(t, await service.send('DELETE', '/account', { token, body }), 'invalid_credentials')
  t.equal((await service.send('GET', '/account', { token })).statusCode, 200)
  t.equal(service.events('password_check_failed').length, 1)
})

t.test('an account is deleted once', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  const replies = await Promise.all(
    [1, 2, 3].map(() => service.send('DELETE', '/account', { token, body: { current_password: PASSWORD } })),
  )
  t.strictSame(replies.map((reply) => reply.statusCode).sort(), [204, 401, 401])
  t.equal(service.events('account_deleted').length, 1)
})

t.test('deleting asks for the password and for nothing else', async (t) => {
  const service = await createService(t)
  const { accessToken: token } = await service.signUp()
  const refused: readonly [body: unknown, path: string][] = [
    [undefined, ''],
    [{}, 'current_password'],
    [{ current_password: '' }, 'current_password'],
    [{ current_password: PASSWORD, reason: 'bored' }, ''],
  ]
  for (const [body, path] of refused) {
    isProblem(t, await service.send('DELETE', '/account', { token, body }), 'invalid_request', [path])
  }
})
