import t from 'tap'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

const NEW_PASSWORD = 'another walk in the hills'

for (const database of databases) {
  t.test(`security events are logged, even with LOG_LEVEL=silent, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { LOG_LEVEL: 'silent' } })
    const ada = await service.signUp()
    const { accountId: account_id, sessionId: session_id, accessToken: token } = ada
    const steps: readonly [event: string, () => Promise<{ headers: Record<string, unknown> }>][] = [
      [
        'login',
        () => service.send('POST', '/auth/login', { body: { email: ada.email, password: PASSWORD } }),
      ],
      [
        'login_failed',
        () => service.send('POST', '/auth/login', { body: { email: ada.email, password: 'x' } }),
      ],
      [
        'password_changed',
        () =>
          service.send('PUT', '/account/password', {
            token,
            body: { current_password: PASSWORD, new_password: NEW_PASSWORD },
          }),
      ],
      [
        'password_check_failed',
        () => service.send('DELETE', '/account', { token, body: { current_password: PASSWORD } }),
      ],
      [
        'email_changed',
        () =>
          service.send('PATCH', '/account', {
            token,
            body: { current_password: NEW_PASSWORD, email: 'ada@example.com' },
          }),
      ],
      ['logout', () => service.send('POST', '/auth/logout', { token, body: { scope: 'all' } })],
    ]
    t.match(service.events('signup'), [{ account_id, session_id, ip: '127.0.0.1', request_id: String }])
    for (const [event, step] of steps) {
      const { headers } = await step()
      const expected = { account_id, ip: '127.0.0.1', request_id: headers['x-request-id'], msg: event }
      t.match(service.events(event), [expected], event)
    }

    const eve = await service.signUp()
    for (const wait of [0, 10_001]) {
      service.clock.advance(wait)
      await service.send('POST', '/auth/refresh', { body: { refresh_token: eve.refreshToken } })
    }
    t.match(service.events('refresh_reused'), [
      { account_id: eve.accountId, session_id: eve.sessionId, ip: '127.0.0.1', request_id: String },
    ])

    t.ok(
      service.log.every((line) => 'event' in JSON.parse(line)),
      'and nothing else is',
    )
  })
}
