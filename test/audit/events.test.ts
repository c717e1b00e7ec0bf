import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { type SecurityEvent, securityEvents } from '../../src/audit/events.ts'
import { allEvents } from '../helpers/audit.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { startCli } from '../helpers/process.ts'
import {
  createService,
  type DatabaseName,
  databases,
  PASSWORD,
  type SignedUp,
  type TestService,
} from '../helpers/service.ts'

const IP = '203.0.113.7'
const USER_AGENT = 'a browser/1.0'
const NEW_PASSWORD = 'another walk in the hills'
const WRONG = 'not the password at all'

interface Expected {
  readonly event: SecurityEvent
  readonly actor: string | null
  readonly subject: string | null
  readonly session_id: string | null
  readonly details: object
}

/** A service that takes what it is told of an address, and what was written into its trail and its log. */
async function watch(t: Test, kind: DatabaseName) {
  const url = await emptyDatabase(t, kind)
  const database = await openAsNode(t, url)
  const env = { TRUST_PROXY: '127.0.0.1', LOG_LEVEL: 'silent' }
  const service = await createService(t, { database, env })
  const produced = new Set<string>()
  const secrets = new Set([PASSWORD, NEW_PASSWORD, WRONG, 'example.com', '$argon2', 'lkr_', 'lkc_', 'eyJ'])
  let requests = 0

  /** Sends a request from somewhere. @returns the answer, and the id it was sent with */
  async function send(...[method, path, options = {}]: Parameters<TestService['send']>) {
    const requestId = `request-${requests++}`
    service.clock.advance(1)
    const headers = { 'x-forwarded-for': IP, 'user-agent': USER_AGENT, 'x-request-id': requestId }
    const reply = await service.send(method, path, { ...options, headers })
    if (reply.body.includes('"access_token"')) {
      const { access_token, refresh_token = access_token } = reply.json().tokens ?? reply.json()
      for (const secret of [access_token, refresh_token]) secrets.add(secret.slice(-30))
    }
    return { reply, requestId }
  }

  /** What a step wrote into the trail, the oldest first, and into the log. */
  async function written(step: () => Promise<unknown>) {
    const before = (await allEvents(database.db)).length
    const logged = service.log.length
    await step()
    return {
      rows: (await allEvents(database.db)).slice(before),
      lines: service.log.slice(logged).map((line) => JSON.parse(line)),
    }
  }

  return {
    ...{ service, url, produced, secrets, send, written },
    /** Asserts that a request is answered so, and is told of by those events and no others. */
    async tells(
      status: number,
      request: Parameters<TestService['send']>,
      ...expected: readonly Expected[]
    ): Promise<LightMyRequestResponse> {
      let answer: Awaited<ReturnType<typeof send>> | undefined
      const { rows, lines } = await written(async () => {
        answer = await send(...request)
      })
      const { reply, requestId } = answer as Awaited<ReturnType<typeof send>>
      t.equal(reply.statusCode, status, `${request[0]} ${request[1]}: ${reply.body}`)
      const from = { ip: IP, request_id: requestId }
      t.strictSame(
        rows.map(({ id, at, details, ...row }) => ({ ...row, details: JSON.parse(details) })),
        expected.map((each) => ({
          ...{ ...each, ...from, user_agent: USER_AGENT },
          outcome: securityEvents[each.event].outcome,
        })),
      )
      t.ok(
        rows.every(({ at }) => at === service.clock()),
        'by the clock',
      )
      t.strictSame(
        lines.map(({ event, ip, request_id }) => ({ event, ip, request_id })),
        expected.map(({ event }) => ({ event, ...from })),
        'and the log says so too',
      )
      for (const { event } of expected) produced.add(event)
      return reply
    },
  }
}

/** What somebody did to their own account. */
function own(
  event: SecurityEvent,
  { accountId, sessionId }: Pick<SignedUp, 'accountId' | 'sessionId'>,
  details: object = {},
): Expected {
  return { event, actor: accountId, subject: accountId, session_id: sessionId, details }
}

function sessionOf({ access_token }: { access_token: string }): string {
  return JSON.parse(Buffer.from(access_token.split('.')[1] as string, 'base64url').toString()).sid
}

for (const database of databases) {
  t.test(
    `every event is in the trail: who, whom, from where, by which request, on ${database}`,
    async (t) => {
      const { service, url, produced, secrets, send, written, tells } = await watch(t, database)
      const logIn = (email: string, password: string) =>
        ['POST', '/auth/login', { body: { email, password } }] as const

      await t.test('what an account does, and what is done to it', async () => {
        const email = 'ada@example.com'
        // The account isn't known before: it is looked up afterwards.
        const { rows } = await written(async () => {
          await send('POST', '/auth/signup', { body: { email, password: PASSWORD } })
        })
        const { reply } = await send(...logIn(email, PASSWORD))
        const token = reply.json().access_token
        const { id: accountId } = (await send('GET', '/account', { token })).reply.json()
        const first = { accountId, sessionId: rows[0]?.session_id as string }
        const { id, at, request_id, ...row } = rows[0] ?? {}
        const { details, ...signup } = own('signup', first)
        t.same(row, { ...signup, outcome: 'success', ip: IP, user_agent: USER_AGENT, details: '{}' })
        t.equal(rows.length, 1)
        produced.add('signup')

        const ada = { accountId, sessionId: sessionOf(reply.json()) }
        const [loggedIn] = (await allEvents(service.database.db)).filter(({ event }) => event === 'login')
        t.match(loggedIn, {
          actor: accountId,
          subject: accountId,
          session_id: ada.sessionId,
          outcome: 'success',
        })
        produced.add('login')

        const failed = { event: 'login_failed', actor: null, session_id: null } as const
        const reason = 'invalid_credentials'
        const known = { ...failed, subject: accountId, details: { reason, failures: 1 } }
        await tells(401, [...logIn(email, WRONG)], known)
        await tells(401, [...logIn('nobody@example.com', WRONG)], {
          ...failed,
          ...{ subject: null, details: { reason, failures: 1 } },
        })

        const wrong = { body: { name: 'Ada', current_password: WRONG }, token }
        await tells(401, ['PATCH', '/account', wrong], own('password_check_failed', ada, { failures: 1 }))
        const change = { current_password: PASSWORD, new_password: NEW_PASSWORD }
        await tells(
          204,
          ['PUT', '/account/password', { body: change, token }],
          own('password_changed', ada, { sessions_ended: 1 }),
        )
        const email2 = { email: 'countess@example.com', current_password: NEW_PASSWORD }
        await tells(200, ['PATCH', '/account', { body: email2, token }], own('email_changed', ada))

        const { reply: other } = await send(...logIn('countess@example.com', NEW_PASSWORD))
        const sessionId = sessionOf(other.json())
        await tells(
          204,
          ['DELETE', `/account/sessions/${sessionId}`, { token }],
          own('session_ended', { accountId, sessionId }),
        )

        const { reply: third } = await send(...logIn('countess@example.com', NEW_PASSWORD))
        const refresh = { body: { refresh_token: third.json().refresh_token } }
        await tells(200, ['POST', '/auth/refresh', refresh])
        service.clock.advance(10_001)
        await tells(401, ['POST', '/auth/refresh', refresh], {
          ...own('refresh_reused', { accountId, sessionId: sessionOf(third.json()) }),
          actor: null,
        })

        const { reply: fourth } = await send(...logIn('countess@example.com', NEW_PASSWORD))
        const last = { accountId, sessionId: sessionOf(fourth.json()) }
        await tells(
          204,
          ['POST', '/auth/logout', { token: fourth.json().access_token }],
          own('logout', last, { sessions_ended: 1 }),
        )
        await tells(
          204,
          ['DELETE', '/account', { body: { current_password: NEW_PASSWORD }, token }],
          own('account_deleted', ada, { sessions_ended: 1 }),
        )
        const kept = await allEvents(service.database.db)
        t.ok(
          kept.filter(({ subject }) => subject === accountId).length > 10,
          'which ends not what is known of it',
        )
      })

      await t.test('what credentials are refused', async () => {
        const { accountId, credentialId, credential } = await createServiceAccount(service)
        secrets.add(credential.slice(-30))
        const exchange = (text: string) => ['POST', '/auth/token', { body: { credential: text } }] as const
        await tells(200, [...exchange(credential)])
        const made = `lkc_${Buffer.alloc(48, 7).toString('base64url')}`
        const failed = {
          event: 'login_failed',
          actor: null,
          details: { reason: 'invalid_credentials' },
        } as const
        const unknown = { ...failed, subject: null, session_id: null }
        await tells(401, [...exchange(made)], unknown)
        await tells(401, [...exchange('nothing like one')], unknown)
        const ofLogin = (await service.signUp()).sessionId.replaceAll('-', '')
        const bytes = Buffer.concat([Buffer.from(ofLogin, 'hex'), Buffer.alloc(32)])
        await tells(401, [...exchange(`lkc_${bytes.toString('base64url')}`)], unknown)
        const guessed = credential.slice(0, -10) + 'A'.repeat(10)
        await tells(401, [...exchange(guessed)], { ...failed, subject: accountId, session_id: credentialId })
        await service.database.db
          .updateTable('accounts')
          .set({ status: 'disabled' })
          .where('id', '=', accountId)
          .execute()
        await tells(403, [...exchange(credential)], {
          ...failed,
          ...{ subject: accountId, session_id: credentialId, details: { reason: 'account_disabled' } },
        })
      })

      await t.test('what operators do', async () => {
        const { accountId: actor, accessToken: token } = await signUpAdmin(service, 'root@example.com')
        const { accountId: subject, email } = await service.signUp('grace@example.com')
        const path = `/admin/accounts/${subject}`
        const did = (event: SecurityEvent, details: object = {}) =>
          ({ event, actor, subject, session_id: null, details }) as const
        const list = { ...did('accounts_listed', { accounts: 1 }), subject: null }
        await tells(200, ['GET', '/admin/accounts?q=grace', { token }], list)
        await tells(200, ['GET', path, { token }], did('account_read'))
        const change = (body: object) => ['PATCH', path, { token, body }] as const
        await tells(200, [...change({ name: 'Grace' })], did('account_renamed'))
        const roles = { roles_before: ['user'], roles_after: ['admin', 'user'] }
        await tells(200, [...change({ roles: ['user', 'admin'] })], did('account_roles_changed', roles))
        await tells(
          204,
          ['DELETE', `${path}/sessions`, { token }],
          did('account_signed_out', { sessions_ended: 1 }),
        )
        await tells(200, [...change({ status: 'disabled' })], did('account_disabled', { sessions_ended: 0 }))
        await tells(403, [...logIn(email, PASSWORD)], {
          ...did('login_failed', { reason: 'account_disabled' }),
          actor: null,
        })
        await tells(200, [...change({ status: 'active' })], did('account_enabled'))
        await tells(204, ['DELETE', `${path}/attempts`, { token }], did('attempts_reset'))
        const ofAll = { ...did('audit_read', { events: 3 }), subject: null }
        await tells(200, ['GET', '/admin/audit?limit=3', { token }], ofAll)
        await tells(
          200,
          ['GET', `/admin/audit?account=${subject}&event=account_read`, { token }],
          did('audit_read', { events: 1 }),
        )
        const reset = (await allEvents(service.database.db)).length
        t.equal(
          (await send(...change({ status: 'disabled', name: null, roles: ['user'] }))).reply.statusCode,
          200,
        )
        const three = (await allEvents(service.database.db)).slice(reset)
        t.strictSame(three.map(({ event }) => event).sort(), [
          'account_disabled',
          'account_renamed',
          'account_roles_changed',
        ])
        t.equal(
          new Set(three.map(({ request_id }) => request_id)).size,
          1,
          'what one request does has its id',
        )
      })

      await t.test('what the command line does', async (t) => {
        const env = { DATABASE_URL: url }
        const args = ['accounts', 'create', '--service', '--name', 'billing', '--scope', 'revocations:read']
        const cli = startCli(t, args, { env })
        t.equal((await cli.ended(60_000)).code, 0, cli.stderr())
        secrets.add(cli.stdout().trim().slice(-30))
        const rows = (await allEvents(service.database.db))
          .filter(({ actor }) => actor === 'cli')
          .sort((a, b) => (a.event < b.event ? -1 : 1))
        const nowhere = { ip: null, user_agent: null, request_id: null, outcome: 'success', actor: 'cli' }
        t.match(rows, [
          { ...nowhere, event: 'account_created', details: '{"roles_after":[]}', session_id: null },
          { ...nowhere, event: 'credential_created', details: '{"scopes":["revocations:read"]}' },
        ])
        t.match(cli.stderr(), `account ${rows[0]?.subject}\ncredential ${rows[1]?.session_id}\n`)
        for (const { event } of rows) produced.add(event)
      })

      t.strictSame([...produced].sort(), Object.keys(securityEvents).sort(), 'there are no others')
      const rows = await allEvents(service.database.db)
      t.ok(rows.length > Object.keys(securityEvents).length)
      const text = JSON.stringify(rows) + service.log.join('')
      for (const secret of secrets)
        t.notOk(text.includes(secret), `the trail and the log are free of ${secret}`)
    },
  )

  t.test(`what changes nothing, and what is refused, is no event, on ${database}`, async (t) => {
    const { service, tells } = await watch(t, database)
    const ada = await service.signUp('ada@example.com')
    const grace = await service.signUp('grace@example.com')
    const { accessToken: admin, accountId: adminId } = await signUpAdmin(service, 'root@example.com')
    const { credential } = await createServiceAccount(service)
    const token = ada.accessToken
    const unknown = '/admin/accounts/019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071'
    const password = { current_password: PASSWORD }
    const taken = { email: grace.email, password: PASSWORD }

    await tells(200, ['GET', '/me', { token }])
    await tells(200, ['GET', '/account', { token }])
    await tells(200, ['GET', '/account/sessions', { token }])
    await tells(200, ['GET', '/account/audit', { token }])
    await tells(200, ['PATCH', '/account', { token, body: { name: 'Ada' } }])
    await tells(204, ['POST', '/auth/logout', { token, body: { scope: 'others' } }])
    await tells(200, ['POST', '/auth/refresh', { body: { refresh_token: grace.refreshToken } }])
    await tells(200, ['POST', '/auth/token', { body: { credential } }])
    await tells(401, ['POST', '/auth/refresh', { body: { refresh_token: 'lkr_nonsense' } }])
    await tells(400, ['POST', '/auth/login', { body: { email: 'x' } }])
    await tells(401, ['GET', '/account', { token: 'x' }])
    await tells(403, ['GET', '/admin/audit', { token }])
    await tells(409, ['POST', '/auth/signup', { body: taken }])
    await tells(422, ['POST', '/auth/signup', { body: { ...taken, password: 'password' } }])
    await tells(409, ['PATCH', '/account', { token, body: { email: grace.email, ...password } }])
    await tells(422, ['PUT', '/account/password', { token, body: { ...password, new_password: 'x' } }])
    await tells(409, ['DELETE', '/account', { token: admin, body: password }])
    await tells(409, ['PATCH', `/admin/accounts/${adminId}`, { token: admin, body: { status: 'disabled' } }])
    await tells(404, ['DELETE', `/account/sessions/${grace.sessionId}`, { token }])
    await tells(404, ['GET', unknown, { token: admin }])
    await tells(404, ['PATCH', unknown, { token: admin, body: { status: 'disabled' } }])
    await tells(404, ['DELETE', `${unknown}/sessions`, { token: admin }])
    await tells(404, ['DELETE', `${unknown}/attempts`, { token: admin }])
    await tells(400, ['GET', '/admin/audit?cursor=x', { token: admin }])
    await tells(200, [
      'PATCH',
      `/admin/accounts/${ada.accountId}`,
      { token: admin, body: { status: 'active' } },
    ])
  })

  t.test(`of many sign-ups for one address one is told of, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const body = { email: 'ada@example.com', password: PASSWORD }
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => service.send('POST', '/auth/signup', { body })),
    )
    const made = replies.filter(({ statusCode }) => statusCode === 201)
    t.equal(made.length, 1)
    const rows = await allEvents(service.database.db)
    t.match(rows, [{ event: 'signup', subject: made[0]?.json().account.id }])
    t.equal(rows.length, 1)
    t.equal(service.events('signup').length, 1)
  })

  t.test(`what is throttled is no event: an attack can't fill the trail, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { ATTEMPTS_PER_ADDRESS: '20' } })
    const statuses: number[] = []
    for (let index = 0; index < 40; index++) {
      const body = { email: `user${index}@example.com`, password: WRONG }
      statuses.push((await service.send('POST', '/auth/login', { body })).statusCode)
    }
    t.strictSame([...new Set(statuses)], [401, 429])
    const told = statuses.filter((status) => status === 401).length
    t.equal((await allEvents(service.database.db)).length, told)
    t.ok(told <= 21, `${told} in a minute`)
  })
}
