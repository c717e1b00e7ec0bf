import t from 'tap'
import { signUpAdmin } from '../helpers/operators.ts'
import { createService, databases } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`everything that an operator does is logged, by whom and to whom, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { LOG_LEVEL: 'silent' } })
    const { accountId: actor, accessToken: token } = await signUpAdmin(service)
    const { accountId: subject } = await service.signUp('canary@example.com')
    const path = `/admin/accounts/${subject}`
    const change = (body: object) => () => service.send('PATCH', path, { token, body })
    const steps: readonly (readonly [
      event: string,
      fields: object,
      step: () => Promise<{ headers: Record<string, unknown> }>,
    ])[] = [
      ['accounts_listed', { accounts: 1 }, () => service.send('GET', '/admin/accounts?q=canary', { token })],
      ['account_read', { subject }, () => service.send('GET', path, { token })],
      ['account_renamed', { subject }, change({ name: 'Canary' })],
      [
        'account_roles_changed',
        { subject, roles_before: ['user'], roles_after: ['admin', 'user'] },
        change({ roles: ['user', 'admin'] }),
      ],
      [
        'account_signed_out',
        { subject, sessions_ended: 1 },
        () => service.send('DELETE', `${path}/sessions`, { token }),
      ],
      ['account_disabled', { subject, sessions_ended: 0 }, change({ status: 'disabled' })],
      ['account_enabled', { subject }, change({ status: 'active' })],
    ]
    const before = service.log.length
    for (const [event, fields, step] of steps) {
      const { headers } = await step()
      const [line, ...more] = service.events(event)
      t.strictSame(more, [], `${event} once`)
      const { level, time, pid, hostname, ...written } = line ?? {}
      const request_id = headers['x-request-id']
      t.strictSame(written, { event, actor, ip: '127.0.0.1', request_id, ...fields, msg: event })
    }
    t.equal(service.log.length - before, steps.length, 'and nothing else is')
    t.notMatch(service.log.slice(before).join(''), /canary/i, 'neither name nor address is in it')
  })
}

t.test('what is refused is no event', async (t) => {
  const service = await createService(t, { env: { LOG_LEVEL: 'silent' } })
  const { accessToken: token } = await signUpAdmin(service)
  const before = service.log.length
  const unknown = '/admin/accounts/019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071'
  await service.send('GET', unknown, { token })
  await service.send('PATCH', unknown, { token, body: { status: 'disabled' } })
  await service.send('DELETE', `${unknown}/sessions`, { token })
  await service.send('GET', '/admin/accounts?role=king', { token })
  t.strictSame(service.log.slice(before), [])
})
