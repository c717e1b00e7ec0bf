import { randomUUIDv7 } from 'node:crypto'
import t from 'tap'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

/** Sends every request that there is under /admin. */
async function sendAll(service: TestService, token?: string) {
  const id = randomUUIDv7()
  const options = token === undefined ? {} : { token }
  return Promise.all([
    service.send('GET', '/admin/accounts', options),
    service.send('GET', '/admin/audit', options),
    service.send('GET', `/admin/accounts/${id}`, options),
    service.send('PATCH', `/admin/accounts/${id}`, { ...options, body: { status: 'disabled' } }),
    service.send('DELETE', `/admin/accounts/${id}/sessions`, options),
    service.send('DELETE', `/admin/accounts/${id}/attempts`, options),
  ])
}

for (const database of databases) {
  t.test(`operators get in, and nobody else, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service, 'ada@example.com')
    for (const reply of await sendAll(service)) isProblem(t, reply, 'token_missing')

    const user = await service.signUp()
    for (const reply of await sendAll(service, user.accessToken)) {
      isProblem(t, reply, 'insufficient_role')
      t.match(reply.headers['www-authenticate'], /error="insufficient_scope".* scope="admin"$/)
    }

    const login = await service.send('POST', '/auth/login', {
      body: { email: 'ada@example.com', password: PASSWORD, scope: 'account' },
    })
    for (const reply of await sendAll(service, login.json().access_token)) {
      isProblem(t, reply, 'insufficient_scope')
    }

    const [accounts, events, ...ofNobody] = await sendAll(service, admin.accessToken)
    for (const list of [accounts, events]) {
      t.equal(list?.statusCode, 200)
      t.equal(list?.headers['cache-control'], 'no-store')
    }
    for (const reply of ofNobody) {
      isProblem(t, reply, 'not_found')
      t.equal(reply.json().detail, 'There is no such account.')
    }
  })

  t.test(`an operator whose session ended elsewhere a moment ago is refused, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service)
    // As another node does it: this one's memory hasn't heard of it.
    await service.database.db.deleteFrom('sessions').where('id', '=', admin.sessionId).execute()
    for (const reply of await sendAll(service, admin.accessToken)) isProblem(t, reply, 'token_revoked')
  })

  t.test(`an operator who was demoted elsewhere a moment ago is refused, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service)
    await service.database.db.deleteFrom('account_roles').where('role', '=', 'admin').execute()
    for (const reply of await sendAll(service, admin.accessToken)) isProblem(t, reply, 'token_stale')
  })

  t.test(`a service operates by its role and its scope, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const scopes = ['admin']
    const plain = await createServiceAccount(service, { scopes })
    for (const reply of await sendAll(service, plain.accessToken)) isProblem(t, reply, 'insufficient_role')
    const operator = await createServiceAccount(service, { scopes, roles: ['admin'] })
    const list = await service.send('GET', '/admin/accounts', { token: operator.accessToken })
    t.equal(list.statusCode, 200)
    t.match(service.events('accounts_listed'), [{ actor: operator.accountId }])
  })
}

t.test('a token that another holder of the secret made for no account here is refused', async (t) => {
  const service = await createService(t)
  const claims = { ...goodClaims(service.clock()), roles: ['admin'], scope: 'admin' }
  const stranger = handMade(goodHeader, { ...claims, sub: "' or 1=1" })
  for (const reply of await sendAll(service, stranger)) isProblem(t, reply, 'token_invalid')
  for (const reply of await sendAll(service, handMade(goodHeader, claims))) {
    isProblem(t, reply, 'token_revoked')
  }
})

t.test('what is no id of an account is refused', async (t) => {
  const service = await createService(t)
  const { accountId, accessToken: token } = await signUpAdmin(service)
  for (const id of ['x', `${accountId}0`, accountId.replaceAll('-', ''), '%00', "'%20or%201=1"]) {
    const path = `/admin/accounts/${id}`
    isProblem(t, await service.send('GET', path, { token }), 'invalid_request', ['id'])
    isProblem(t, await service.send('PATCH', path, { token, body: { name: 'x' } }), 'invalid_request', ['id'])
    isProblem(t, await service.send('DELETE', `${path}/sessions`, { token }), 'invalid_request', ['id'])
  }
  const capital = await service.send('GET', `/admin/accounts/${accountId.toUpperCase()}`, { token })
  t.equal(capital.json().id, accountId, 'but it may be written in capitals')
})
