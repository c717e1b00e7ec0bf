import t from 'tap'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

const DEMOTED = { roles: ['user'] }
const DISABLED = { status: 'disabled' }

for (const database of databases) {
  t.test(`the last admin can't be disabled, demoted or deleted, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, accessToken: token } = await signUpAdmin(service)
    // None of these can sign in and put things right.
    await createServiceAccount(service, { roles: ['admin'], scopes: ['admin'] })
    const disabled = await signUpAdmin(service)
    await service.send('PATCH', `/admin/accounts/${disabled.accountId}`, { token, body: DISABLED })
    await service.signUp()

    const path = `/admin/accounts/${accountId}`
    for (const body of [DEMOTED, DISABLED, { ...DISABLED, ...DEMOTED, name: 'Eve' }]) {
      isProblem(t, await service.send('PATCH', path, { token, body }), 'last_admin')
    }
    const deletion = { token, body: { current_password: PASSWORD } }
    isProblem(t, await service.send('DELETE', '/account', deletion), 'last_admin')

    t.equal((await service.send('GET', '/me', { token })).statusCode, 200, 'and nothing was revoked')
    const { roles, status, name, sessions } = (await service.send('GET', path, { token })).json()
    t.match({ roles, status, name }, { roles: ['admin', 'user'], status: 'active', name: null })
    t.equal(sessions.length, 1)
    for (const event of ['account_roles_changed', 'account_deleted', 'account_renamed']) {
      t.strictSame(service.events(event), [], event)
    }
    t.equal(service.events('account_disabled').length, 1)

    t.equal((await service.send('PATCH', path, { token, body: { name: 'Ada' } })).statusCode, 200)
    const narrowed = { token, body: { roles: ['admin'] } }
    t.equal((await service.send('PATCH', path, narrowed)).statusCode, 200, 'who stays an admin may change')
  })

  t.test(`where there is another admin, one may go, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const [one, two, three, last] = [
      await signUpAdmin(service),
      await signUpAdmin(service),
      await signUpAdmin(service),
      await signUpAdmin(service),
    ]
    const change = (who: typeof one, body: object) =>
      service.send('PATCH', `/admin/accounts/${who.accountId}`, { token: who.accessToken, body })
    t.equal((await change(one, DEMOTED)).statusCode, 200, 'demoted')
    t.equal((await change(two, DISABLED)).statusCode, 200, 'disabled')
    const deletion = { token: three.accessToken, body: { current_password: PASSWORD } }
    t.equal((await service.send('DELETE', '/account', deletion)).statusCode, 204, 'deleted')
    isProblem(t, await change(last, DEMOTED), 'last_admin')
  })

  t.test(`of two admins who take each other's place away one fails, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { db } = service.database
    for (let round = 0; round < 30; round++) {
      const admins = [await signUpAdmin(service), await signUpAdmin(service)] as const
      const [one, two] = admins
      const take = (by: typeof one, from: typeof one, body: object) =>
        service.send('PATCH', `/admin/accounts/${from.accountId}`, { token: by.accessToken, body })
      const erase = (who: typeof one) =>
        service.send('DELETE', '/account', {
          token: who.accessToken,
          body: { current_password: PASSWORD },
        })
      const ways = [
        () => [take(one, two, DEMOTED), take(two, one, DEMOTED)],
        () => [take(one, two, DISABLED), take(two, one, DEMOTED)],
        () => [take(one, two, DISABLED), take(two, one, DISABLED)],
        () => [take(one, one, DEMOTED), erase(two)],
        () => [erase(one), erase(two)],
      ]
      const replies = await Promise.all(ways[round % ways.length]?.() ?? [])
      const won = replies.filter(({ statusCode }) => statusCode < 300)
      t.equal(won.length, 1, `one is done: ${replies.map(({ statusCode }) => statusCode)}`)
      // Who comes second either finds that it would take the last one, or is no admin any more.
      const refusal = replies.find(({ statusCode }) => statusCode >= 300)?.json().code
      t.match(refusal, /^(last_admin|token_revoked|token_stale)$/)
      const left = await db
        .selectFrom('accounts')
        .innerJoin('account_roles', 'account_roles.account_id', 'accounts.id')
        .select('accounts.id')
        .where('role', '=', 'admin')
        .where('status', '=', 'active')
        .execute()
      t.equal(left.length, 1)
      await db.deleteFrom('accounts').execute()
    }
  })
}
