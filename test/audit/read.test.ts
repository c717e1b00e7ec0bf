import { randomUUIDv7 } from 'node:crypto'
import t from 'tap'
import { insertEvents, someEvent } from '../helpers/audit.ts'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const HOUR = 3_600_000

interface Page {
  readonly events: readonly Record<string, unknown>[]
  readonly next_cursor: string | null
}

async function read(service: TestService, token: string, query: Record<string, string> = {}): Promise<Page> {
  const reply = await service.send('GET', `/admin/audit?${new URLSearchParams(query)}`, { token })
  if (reply.statusCode !== 200) throw new Error(`the trail answered ${reply.statusCode}: ${reply.body}`)
  return reply.json()
}

for (const database of databases) {
  t.test(`operators read what happened, the newest first, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, sessionId, email } = await service.signUp()
    service.clock.advance(1)
    const headers = { 'x-request-id': 'the-request', 'user-agent': 'a browser' }
    await service.send('POST', '/auth/login', { body: { email, password: 'x' }, headers })
    const failedAt = new Date(service.clock()).toISOString()
    service.clock.advance(1)
    const { accessToken: token, accountId: actor } = await signUpAdmin(service)
    service.clock.advance(1)
    await read(service, token, { account: accountId, limit: '1' })
    service.clock.advance(1)

    const { events, next_cursor } = await read(service, token)
    t.equal(next_cursor, null)
    t.strictSame(
      events.map(({ event }) => event),
      ['audit_read', 'signup', 'login_failed', 'signup'],
    )
    const { id, ...failed } = events[2] ?? {}
    t.match(id, /^[\da-f-]{36}$/)
    t.strictSame(failed, {
      at: failedAt,
      event: 'login_failed',
      outcome: 'failure',
      session_id: null,
      ip: '127.0.0.1',
      user_agent: 'a browser',
      request_id: 'the-request',
      details: { reason: 'invalid_credentials', failures: 1 },
      actor: null,
      subject: accountId,
    })
    t.match(events[0], { actor, subject: accountId, details: { events: 1 } })
    t.match(events[3], { actor: accountId, subject: accountId, session_id: sessionId, details: {} })
  })

  t.test(`every filter narrows, and all of them together, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token, accountId: operator } = await signUpAdmin(service)
    const now = service.clock()
    const [ada, grace] = [randomUUIDv7(), randomUUIDv7()]
    const events = [
      someEvent(now - 5 * HOUR, { subject: ada, actor: ada, ip: '2001:db8::1' }),
      someEvent(now - 4 * HOUR, { subject: ada, actor: null, event: 'login_failed', outcome: 'failure' }),
      someEvent(now - 3 * HOUR, { subject: grace, actor: 'cli', event: 'account_disabled', ip: null }),
      someEvent(now - 2 * HOUR, { subject: grace, actor: operator, event: 'account_enabled' }),
      someEvent(now - HOUR, {
        subject: null,
        actor: null,
        event: 'login_failed',
        outcome: 'failure',
        ip: 'unknown',
      }),
    ]
    await insertEvents(service.database.db, events)
    const time = (hours: number) => new Date(now - hours * HOUR).toISOString()
    const offset = (hours: number) => time(hours - 2).replace('Z', '+02:00')
    const wanted: readonly [query: Record<string, string>, found: readonly number[]][] = [
      [{}, [4, 3, 2, 1, 0]],
      [{ account: ada }, [1, 0]],
      [{ account: grace.toUpperCase() }, [3, 2]],
      [{ account: randomUUIDv7() }, []],
      [{ actor: ada }, [0]],
      [{ actor: ada.toUpperCase() }, [0]],
      [{ actor: 'cli' }, [2]],
      [{ actor: operator }, [3]],
      [{ event: 'login_failed' }, [4, 1]],
      [{ event: 'credential_created' }, []],
      [{ outcome: 'failure' }, [4, 1]],
      [{ outcome: 'success' }, [3, 2, 0]],
      [{ outcome: 'failure', event: 'login_failed' }, [4, 1]],
      [{ outcome: 'success', event: 'login_failed' }, []],
      [{ ip: '2001:db8::1' }, [0]],
      [{ ip: '2001:DB8:0::1' }, [0]],
      [{ ip: 'unknown' }, [4]],
      [{ ip: '::ffff:192.0.2.1' }, [3, 1]],
      [{ from: time(3) }, [4, 3, 2]],
      [{ from: offset(3) }, [4, 3, 2]],
      [{ until: time(3) }, [1, 0]],
      [{ from: time(4), until: time(2) }, [2, 1]],
      [{ from: time(2), until: time(4) }, []],
      [{ from: '0000-01-01T00:00:00Z', until: '9999-12-31T23:59:59.999999-23:59' }, [4, 3, 2, 1, 0]],
      [{ account: ada, outcome: 'failure', ip: '192.0.2.1', from: time(5) }, [1]],
      [
        { account: grace, actor: operator, event: 'account_enabled', outcome: 'success', until: time(0) },
        [3],
      ],
      [{ account: ada, actor: operator }, []],
    ]
    for (const [query, found] of wanted) {
      // Without what these requests themselves write, and the sign-up before.
      const page = await read(service, token, { until: new Date(now).toISOString(), limit: '100', ...query })
      const ids = page.events.map(({ id }) => id)
      const expected = found.map((index) => events[index]?.id)
      t.strictSame(
        ids.filter((id) => events.some((event) => event.id === id)),
        expected,
        JSON.stringify(query),
      )
    }
  })

  t.test(`pages stay in step while events are written, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const past = Array.from({ length: 50 }, (_, index) => someEvent(service.clock() - 1_000 + index))
    await insertEvents(service.database.db, past)
    service.clock.advance(1)
    const ids: unknown[] = []
    // Each page is told of by an event of its own.
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page: Page = await read(service, token, { limit: '7', ...(cursor && { cursor }) })
      ids.push(...page.events.filter(({ event }) => event === 'login').map(({ id }) => id))
      t.ok(page.events.length <= 7)
      cursor = page.next_cursor
      service.clock.advance(1)
    }
    t.strictSame(
      ids,
      past
        .map(({ id }) => id)
        .sort()
        .reverse(),
    )
    const all = await read(service, token, { event: 'audit_read', limit: '100' })
    t.equal(all.events.length, 8)
  })

  t.test(`what can't be asked for is refused, and is no event, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    const refused: readonly (readonly [query: string, path: string])[] = [
      ['account=ada@example.com', 'account'],
      ['account=', 'account'],
      ['actor=root', 'actor'],
      ['actor=null', 'actor'],
      ['event=king', 'event'],
      ['event=login&event=logout', 'event'],
      ['event=__proto__', 'event'],
      ['outcome=maybe', 'outcome'],
      ['ip=localhost', 'ip'],
      ['ip=10.0.0.0/8', 'ip'],
      [`ip=${'1'.repeat(1_000)}`, 'ip'],
      ['from=yesterday', 'from'],
      ['from=1767268800000', 'from'],
      ['from=2026-02-30T00:00:00Z', 'from'],
      ['from=2026-01-31T00:00:00', 'from'],
      ['until=2026-01-31', 'until'],
      ['limit=0', 'limit'],
      ['limit=101', 'limit'],
      ['limit=1e1', 'limit'],
      ['cursor=', 'cursor'],
      ['cursor=below_AZorPE1eX2CKGyw9Tl9gcQ', 'cursor'],
      ['cursor=before_AZorPE1eX2CKGyw9Tl9gc', 'cursor'],
      ['cursor=before_AZorPE1eX2CKGyw9Tl9gcR', 'cursor'],
      [`cursor=${'x'.repeat(65)}`, 'cursor'],
      ['event=login&outcome=failure&cursor=x', 'cursor'],
    ]
    const before = service.log.length
    for (const [query, path] of refused) {
      isProblem(t, await service.send('GET', `/admin/audit?${query}`, { token }), 'invalid_request', [path])
      const isOfOperators = ['account', 'actor', 'ip'].includes(path)
      const own = await service.send('GET', `/account/audit?${query}`, { token })
      isProblem(t, own, 'invalid_request', [isOfOperators ? '' : path])
    }
    isProblem(t, await service.send('GET', '/admin/audit?order=up', { token }), 'invalid_request', [''])
    t.equal(service.log.length, before)
    for (const bytes of [Buffer.alloc(16), Buffer.alloc(16, 255)]) {
      const page = await read(service, token, { cursor: `before_${bytes.toString('base64url')}` })
      t.equal(page.next_cursor, null, 'a cursor that somebody made is a place like any other')
    }
  })

  t.test(
    `an account reads what was done to it, and by nobody it need not know, on ${database}`,
    async (t) => {
      const service = await createService(t, { database, env: { TRUST_PROXY: '127.0.0.1' } })
      const { accessToken: admin } = await signUpAdmin(service)
      const ada = await service.signUp('ada@example.com')
      const grace = await service.signUp()
      const send = (ip: string, ...[method, path, options]: Parameters<TestService['send']>) => {
        service.clock.advance(1)
        return service.send(method, path, {
          ...options,
          headers: { 'x-forwarded-for': ip, 'user-agent': `of ${ip}` },
        })
      }
      const [own, strange, office] = ['198.51.100.1', '198.51.100.2', '198.51.100.3']
      const password = { current_password: PASSWORD, new_password: 'another walk in the hills' }
      await send(strange, 'POST', '/auth/login', { body: { email: ada.email, password: 'x' } })
      await send(own, 'PUT', '/account/password', { token: ada.accessToken, body: password })
      await send(office, 'GET', `/admin/accounts/${ada.accountId}`, { token: admin })
      await send(office, 'GET', `/admin/audit?account=${ada.accountId}`, { token: admin })
      const roles = { roles: ['user', 'admin'] }
      await send(office, 'PATCH', `/admin/accounts/${ada.accountId}`, { token: admin, body: roles })
      await send(office, 'PATCH', `/admin/accounts/${grace.accountId}`, {
        token: admin,
        body: { name: 'Grace' },
      })

      const refresh = await send(own, 'POST', '/auth/refresh', { body: { refresh_token: ada.refreshToken } })
      const { access_token: token } = refresh.json()
      const reply = await send(own, 'GET', '/account/audit', { token })
      const { events, next_cursor } = reply.json()
      t.equal(next_cursor, null)
      const nowhere = { ip: null, user_agent: null, request_id: null }
      t.match(events, [
        {
          event: 'account_roles_changed',
          by: 'operator',
          ...nowhere,
          details: { roles_after: ['admin', 'user'] },
        },
        { event: 'audit_read', by: 'operator', ...nowhere },
        { event: 'account_read', by: 'operator', ...nowhere },
        { event: 'password_changed', by: 'you', ip: own, user_agent: `of ${own}`, session_id: ada.sessionId },
        { event: 'login_failed', by: null, ip: strange, user_agent: `of ${strange}`, request_id: String },
        { event: 'signup', by: 'you' },
      ])
      t.equal(events.length, 6)
      t.notMatch(reply.body, office)
      for (const event of events) {
        t.notHas(event, { actor: String })
        t.notHas(event, { subject: String })
      }

      const of = async (query: string) =>
        (await send(own, 'GET', `/account/audit?${query}`, { token }))
          .json()
          .events.map(({ event }: { event: string }) => event)
      t.strictSame(await of('outcome=failure'), ['login_failed'])
      t.strictSame(await of('event=account_read'), ['account_read'])
      t.strictSame(await of(`until=${events[4].at}`), ['signup'])
      t.strictSame(await of(`from=${events[0].at}`), ['account_roles_changed'])
      const first = (await send(own, 'GET', '/account/audit?limit=2', { token })).json()
      t.strictSame(first.events, events.slice(0, 2))
      const rest = await send(own, 'GET', `/account/audit?cursor=${first.next_cursor}`, { token })
      t.strictSame(rest.json().events, events.slice(2))
    },
  )

  t.test(`an operator who looks at themselves is themselves, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token, accountId } = await signUpAdmin(service)
    service.clock.advance(1)
    await service.send('GET', `/admin/accounts/${accountId}`, { token })
    const reply = await service.send('GET', '/account/audit?limit=1', { token })
    t.match(reply.json().events, [{ event: 'account_read', by: 'you', ip: '127.0.0.1' }])
  })

  t.test(`one's own events take a live session and the scope for them, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accessToken, sessionId } = await service.signUp()
    const own = (token?: string) => service.send('GET', '/account/audit', { ...(token && { token }) })
    isProblem(t, await own(), 'token_missing')
    const { accessToken: ofService } = await createServiceAccount(service, { scopes: ['revocations:read'] })
    isProblem(t, await own(ofService), 'insufficient_scope')
    const { accessToken: withScope } = await createServiceAccount(service, { scopes: ['account'] })
    t.same((await own(withScope)).json(), { events: [], next_cursor: null })
    await service.database.db.deleteFrom('sessions').where('id', '=', sessionId).execute()
    isProblem(t, await own(accessToken), 'token_revoked')
    const login = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
    t.equal((await own(login.json().access_token)).statusCode, 200)
  })
}
