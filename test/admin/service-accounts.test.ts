import t from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { createAdminStore } from '../../src/admin/store.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { createServiceAccount } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { nothing, someAccount, someSession } from '../helpers/rows.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`a service has no password that could be proved, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await createServiceAccount(service, { scopes: ['account'] })
    t.match((await service.send('GET', '/account', { token })).json(), { email: '', name: 'billing' })
    for (const current_password of [PASSWORD, '$argon2id$']) {
      const email = { email: 'a@example.com', current_password }
      const password = { current_password, new_password: PASSWORD }
      for (const [method, path, body] of [
        ['PATCH', '/account', email],
        ['PUT', '/account/password', password],
        ['DELETE', '/account', { current_password }],
      ] as const) {
        isProblem(t, await service.send(method, path, { token, body }), 'invalid_credentials')
        // After the fifth it has to wait.
        service.clock.advance(1_000)
      }
    }
  })

  t.test(`nobody logs in as a service, whatever address they try, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId } = await createServiceAccount(service)
    for (const email of ['', `service:${accountId}`, accountId, 'billing']) {
      const reply = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
      isProblem(t, reply, 'invalid_request', ['email'])
    }
    const reply = await service.send('POST', '/auth/login', {
      body: { email: `service:${accountId}@example.com`, password: PASSWORD },
    })
    t.match(reply.json().code, /^invalid_(request|credentials)$/)
  })

  t.test(`no credential comes into being beside the disabling of its account, on ${database}`, async (t) => {
    const url = await emptyDatabase(t, database)
    const [{ db: here }, { db: there }] = [await openAsNode(t, url), await openAsNode(t, url)]
    const account = someAccount({ kind: 'service' })
    await createAccountStore(here).create(account, account.id, undefined, nothing)
    const adding = await here.transaction().execute(async (tx) => {
      await tx.updateTable('accounts').set({ status: 'disabled' }).where('id', '=', account.id).execute()
      const row = someSession(account.id, { kind: 'credential' })
      return { stored: createAdminStore(there).addCredential(row, nothing) }
    })
    t.equal(await adding.stored, false)
    t.strictSame(await here.selectFrom('sessions').select('id').execute(), [])
  })
}
