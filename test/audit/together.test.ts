import { sql } from 'kysely'
import t from 'tap'
import type { Db } from '../../src/database/schema.ts'
import { allEvents } from '../helpers/audit.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { startCli } from '../helpers/process.ts'
import {
  createService,
  type DatabaseName,
  databases,
  PASSWORD,
  type TestService,
} from '../helpers/service.ts'

const NEW_PASSWORD = 'another walk in the hills'

/** Makes the database refuse every event from now on. @returns what lets them be written again */
async function refuseEvents(db: Db, kind: DatabaseName): Promise<() => Promise<void>> {
  if (kind === 'sqlite') {
    await sql`
      create trigger refuse before insert on audit_events begin select raise(abort, 'no events'); end
    `.execute(db)
    return async () => void (await sql`drop trigger refuse`.execute(db))
  }
  await sql`
    create function refuse() returns trigger language plpgsql as $$
    begin raise exception 'no events'; end $$
  `.execute(db)
  await sql`create trigger refuse before insert on audit_events execute function refuse()`.execute(db)
  return async () => void (await sql`drop trigger refuse on audit_events`.execute(db))
}

/** Everything that is in the database. */
async function everything(db: Db): Promise<Record<string, string[]>> {
  const tables = ['accounts', 'account_roles', 'sessions', 'revocations', 'attempts', 'audit_events'] as const
  const entries: [string, string[]][] = []
  for (const table of tables) {
    const rows = await db.selectFrom(table).selectAll().execute()
    entries.push([table, rows.map((row) => JSON.stringify(row)).sort()])
  }
  return Object.fromEntries(entries)
}

/** Somebody with a second session, and an operator; each step does something that has to be told of. */
async function prepare(service: TestService) {
  const ada = await service.signUp('ada@example.com')
  const second = await service.send('POST', '/auth/login', {
    body: { email: ada.email, password: PASSWORD },
  })
  const { accessToken: admin } = await signUpAdmin(service, 'root@example.com')
  const grace = await service.signUp('grace@example.com')
  await service.send('POST', '/auth/refresh', { body: { refresh_token: grace.refreshToken } })
  const sessions = await service.send('GET', '/account/sessions', { token: ada.accessToken })
  const other = sessions.json().sessions.find(({ current }: { current: boolean }) => !current).id
  service.clock.advance(10_001)

  const token = ada.accessToken
  const path = `/admin/accounts/${grace.accountId}`
  const password = { current_password: PASSWORD }
  const logIn = (password: string) => ({ body: { email: ada.email, password } })
  const steps: Readonly<Record<string, Parameters<TestService['send']>>> = {
    'sign up': ['POST', '/auth/signup', { body: { email: 'new@example.com', password: PASSWORD } }],
    'log in': ['POST', '/auth/login', logIn(PASSWORD)],
    'fail to log in': ['POST', '/auth/login', logIn('x')],
    'replay a refresh token': ['POST', '/auth/refresh', { body: { refresh_token: grace.refreshToken } }],
    'end a session': ['DELETE', `/account/sessions/${other}`, { token }],
    'sign out the others': ['POST', '/auth/logout', { token, body: { scope: 'others' } }],
    'fail to prove the password': ['DELETE', '/account', { token, body: { current_password: 'x' } }],
    'change the address': ['PATCH', '/account', { token, body: { email: 'a@example.com', ...password } }],
    'change the password': [
      ...(['PUT', '/account/password'] as const),
      { token, body: { ...password, new_password: NEW_PASSWORD } },
    ],
    'disable somebody': ['PATCH', path, { token: admin, body: { status: 'disabled' } }],
    'change the roles of somebody': ['PATCH', path, { token: admin, body: { roles: ['admin'] } }],
    'rename somebody': ['PATCH', path, { token: admin, body: { name: 'Grace' } }],
    'sign somebody out': ['DELETE', `${path}/sessions`, { token: admin }],
    'forget attempts': ['DELETE', `${path}/attempts`, { token: admin }],
    'list accounts': ['GET', '/admin/accounts', { token: admin }],
    'read an account': ['GET', path, { token: admin }],
    'read the trail': ['GET', '/admin/audit', { token: admin }],
    'sign out': ['POST', '/auth/logout', { token }],
    'delete the account': ['DELETE', '/account', { token, body: password }],
  }
  return { steps, tokens: [token, second.json().access_token, admin, grace.accessToken] }
}

for (const kind of databases) {
  t.test(`what can't be told of doesn't happen, on ${kind}`, async (t) => {
    const service = await createService(t, { database: kind, env: { LOG_LEVEL: 'silent' } })
    const { db } = service.database
    const { steps, tokens } = await prepare(service)
    const letThem = await refuseEvents(db, kind)
    const logged = service.log.length
    for (const [what, request] of Object.entries(steps)) {
      const before = await everything(db)
      const reply = await service.send(...request)
      isProblem(t, reply, 'internal_error')
      t.notMatch(reply.body, /no events/)
      // What tells whether an address is taken is counted before it is done.
      const isCounted = ['sign up', 'change the address'].includes(what)
      const counted = isCounted && { attempts: before.attempts }
      t.strictSame(
        { ...(await everything(db)), ...counted },
        before,
        `nothing is changed by who wants to ${what}`,
      )
    }
    for (const token of tokens) {
      t.equal((await service.send('GET', '/me', { token })).statusCode, 200, 'nobody is signed out')
    }
    const lines = service.log.slice(logged).map((line) => JSON.parse(line).event)
    const shown = ['accounts_listed', 'account_read', 'audit_read']
    t.strictSame(lines, shown, 'the log tells of no change; what somebody asked to be shown stands there')

    await letThem()
    const failures = ['fail to log in', 'fail to prove the password', 'replay a refresh token']
    for (const [what, request] of Object.entries(steps)) {
      if (what === 'delete the account') continue
      const { statusCode, body } = await service.send(...request)
      const expected = failures.includes(what) ? statusCode === 401 : statusCode < 300
      t.ok(expected, `afterwards it does: ${what}: ${statusCode} ${body}`)
    }
  })

  t.test(`on the command line, too, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const { db } = await openAsNode(t, url)
    const letThem = await refuseEvents(db, kind)
    const create = async () => {
      const args = ['accounts', 'create', '--email', 'ada@example.com']
      const cli = startCli(t, args, { env: { DATABASE_URL: url }, input: PASSWORD })
      return (await cli.ended(60_000)).code
    }
    t.not(await create(), 0)
    t.same(await db.selectFrom('accounts').select('id').execute(), [])
    await letThem()
    t.equal(await create(), 0)
    t.match(await allEvents(db), [{ event: 'account_created', actor: 'cli' }])
  })
}
