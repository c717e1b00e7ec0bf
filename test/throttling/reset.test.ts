import { randomUUIDv7 } from 'node:crypto'
import t, { type Test } from 'tap'
import { failAt, haveFailed, logIn, PROXIED, WRONG } from '../helpers/attempts.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { refreshed, signUpAdmin } from '../helpers/operators.ts'
import { poll } from '../helpers/poll.ts'
import { isProblem } from '../helpers/problems.ts'
import { startCli } from '../helpers/process.ts'
import {
  createService,
  databases,
  PASSWORD,
  SECRET,
  type TestService,
  testClock,
} from '../helpers/service.ts'

const WITHIN = 1_000
const NEW = '192.0.2.2'

/** A node may say for a second yet what it said before. */
const canLogIn = (service: TestService, email: string) =>
  poll(
    'the node to let somebody try',
    async () => (await logIn(service, email, { from: NEW })).statusCode === 200,
    WITHIN,
  )

async function isBlocked(t: Test, service: TestService, email: string): Promise<void> {
  isProblem(t, await logIn(service, email, { from: NEW }), 'too_many_attempts')
}

for (const kind of databases) {
  t.test(`an operator's reset lets the owner in at once, on every node, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const clock = testClock()
    const node = async () => createService(t, { database: await openAsNode(t, url), env: PROXIED, clock })
    const [one, other] = [await node(), await node()]
    const admin = await signUpAdmin(one)
    const { email, accountId, accessToken, refreshToken } = await one.signUp()
    for (let failed = 0; failed < 5; failed++) {
      const body = { name: 'Ada', current_password: WRONG }
      await one.send('PATCH', '/account', { token: accessToken, body })
    }
    await haveFailed(one, email, 100)
    for (const node of [one, other]) await isBlocked(t, node, email)
    const token = admin.accessToken

    const path = `/admin/accounts/${accountId}`
    const before = await one.send('GET', path, { token })
    t.equal(before.json().login_blocked_until, new Date(clock() + 86_400_000).toISOString())
    const reply = await one.send('DELETE', `${path}/attempts`, { token })
    t.equal(reply.statusCode, 204)
    t.equal(reply.body, '')
    t.match(one.events('attempts_reset'), [{ actor: admin.accountId, subject: accountId, ip: '127.0.0.1' }])
    t.equal((await one.send('GET', path, { token })).json().login_blocked_until, null)

    await canLogIn(other, email)
    await canLogIn(one, email)
    const own = await refreshed(one, refreshToken)
    const body = { name: 'Ada', current_password: PASSWORD }
    t.equal((await one.send('PATCH', '/account', { token: own.accessToken, body })).statusCode, 200)
    const events = await one.database.db
      .selectFrom('audit_events')
      .select(['actor', 'subject', 'outcome'])
      .where('event', '=', 'attempts_reset')
      .execute()
    t.match(events, [{ actor: admin.accountId, subject: accountId, outcome: 'success' }])
  })

  t.test(`so does the command, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    // The command has the present for its clock.
    const service = await createService(t, { database: await openAsNode(t, url), env: PROXIED })
    const { email, accountId } = await service.signUp()
    const env = { DATABASE_URL: url, JWT_SECRET: SECRET }
    const accounts = async (...args: readonly string[]) => {
      const cli = startCli(t, ['accounts', ...args], { env })
      const { code } = await cli.ended(60_000)
      return { code, stdout: cli.stdout(), stderr: cli.stderr() }
    }
    t.notMatch((await accounts('show', email)).stdout, /held back/)
    await haveFailed(service, email, 16)
    await isBlocked(t, service, email)

    const shown = await accounts('show', email)
    t.match(shown.stdout, /\n\nLogins from new addresses are held back until \d{4}-\d\d-\d\dT[\d:.]+Z\.\n\n/)
    const reset = await accounts('reset-attempts', email)
    t.match(reset, { code: 0, stdout: 'Forgotten.\n' })
    t.match(JSON.parse(reset.stderr), { event: 'attempts_reset', actor: 'cli', subject: accountId })
    await canLogIn(service, email)
    const unknown = await accounts('reset-attempts', randomUUIDv7())
    t.match(unknown, { code: 1, stderr: 'latchkey: There is no such account.\n' })
  })
}

t.test('who is no operator resets nothing', async (t) => {
  const service = await createService(t, { env: PROXIED })
  const { email, accountId, accessToken: token } = await service.signUp()
  const path = `/admin/accounts/${accountId}/attempts`
  await failAt(service, email, 5)
  isProblem(t, await service.send('DELETE', path), 'token_missing')
  isProblem(t, await service.send('DELETE', path, { token }), 'insufficient_role')
  await isBlocked(t, service, email)
  const { accessToken: operator } = await signUpAdmin(service)
  const nobody = `/admin/accounts/${randomUUIDv7()}/attempts`
  isProblem(t, await service.send('DELETE', nobody, { token: operator }), 'not_found')
})
