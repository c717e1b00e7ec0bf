import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { type AccountsResult, accountsCommand } from './helpers/accounts-command.ts'
import { request } from './helpers/client.ts'
import { startServer } from './helpers/process.ts'

const CREDENTIAL_LINE = /^lkc_[\w-]{64}\n$/

/** The ids on standard error. */
function idsOf({ stderr }: AccountsResult): { account: string; credential: string } {
  const idAfter = (word: string) => new RegExp(`^${word} (\\S+)$`, 'm').exec(stderr)?.[1] ?? ''
  return { account: idAfter('account'), credential: idAfter('credential') }
}

t.test('a service account is made with a credential, which can be used and revoked', async (t) => {
  const { folder, run } = accountsCommand(t)
  const made = await run(
    ...['create', '--service', '--name', 'billing'],
    ...['--scope', 'revocations:read', 'invoices:read', 'revocations:read'],
  )
  t.match(made, { code: 0, stdout: CREDENTIAL_LINE })
  const { account, credential: credentialId } = idsOf(made)
  const fields = { actor: 'cli', subject: account }
  t.match(made.events, [
    { event: 'account_created', ...fields, roles_after: [] },
    {
      event: 'credential_created',
      ...fields,
      session_id: credentialId,
      scopes: ['revocations:read', 'invoices:read'],
    },
  ])
  const credential = made.stdout.trim()
  t.notMatch(made.stderr, credential.slice(4), 'the credential is on standard output alone')

  const { url } = await startServer(t, { folder })
  const exchange = (text: string) => request(url, '/auth/token', { body: { credential: text } })
  const { status, json } = await exchange(credential)
  t.equal(status, 200)
  t.equal(json.scope, 'invoices:read revocations:read')
  const token = String(json.access_token)
  t.match((await request(url, '/me', { token })).json, { sub: account, sid: credentialId, roles: [] })
  t.equal((await request(url, '/revocations', { token })).status, 200)

  const shown = await run('show', account)
  t.match(shown.stdout, new RegExp(`${account}  -  +billing  -  +active  service `))
  t.match(
    shown.stdout,
    new RegExp(`${credentialId}  credential .*9999-.*  revocations:read invoices:read  billing\n`),
  )
  t.notMatch(shown.stdout, credential.slice(4))

  const other = await run(
    ...['credential', account, '--scope', 'revocations:read'],
    ...['--label', 'the one on the new host', '--expires', '90d'],
  )
  t.match(other, { code: 0, stdout: CREDENTIAL_LINE })
  t.equal(idsOf(other).account, account)
  t.match(other.events, [
    { event: 'credential_created', subject: account, session_id: idsOf(other).credential },
  ])
  t.equal((await exchange(other.stdout.trim())).json.scope, 'revocations:read')
  const json90 = JSON.parse((await run('show', account, '--json')).stdout)
  const listed = json90.sessions.find(({ id }: { id: string }) => id === idsOf(other).credential)
  t.match(listed, { kind: 'credential', user_agent: 'the one on the new host', scope: 'revocations:read' })
  t.equal(Date.parse(listed.expires_at) - Date.parse(listed.created_at), 90 * 86_400_000)

  t.match(await run('sign-out', account, '--session', credentialId), { stdout: '1 ended.\n' })
  t.match(await exchange(credential), { status: 401, json: { code: 'invalid_credentials' } })
  t.equal((await exchange(other.stdout.trim())).status, 200, 'the other goes on')

  t.match(await run('disable', account), { code: 0 })
  t.equal((await exchange(other.stdout.trim())).status, 401)
  const disabled = await run('credential', account, '--scope', 'revocations:read')
  t.match(disabled, { code: 1, stdout: '', stderr: 'latchkey: The account is disabled.\n' })
})

t.test('a service operates where it has the role for it', async (t) => {
  const { folder, run } = accountsCommand(t)
  const made = await run('create', '--service', '--name', 'ops', '--scope', 'admin', '--role', 'admin')
  const { url } = await startServer(t, { folder })
  const { json } = await request(url, '/auth/token', { body: { credential: made.stdout.trim() } })
  const list = await request(url, '/admin/accounts', { token: String(json.access_token) })
  t.match(list, {
    status: 200,
    json: { accounts: [{ id: idsOf(made).account, email: null, roles: ['admin'] }] },
  })

  t.match(await run('credential', idsOf(made).account, '--scope', 'admin'), { code: 0 })
  const { sessions } = JSON.parse((await run('show', idsOf(made).account, '--json')).stdout)
  t.match(sessions, [{ user_agent: 'ops' }, { user_agent: 'ops' }], 'without a label it has the name')
})

t.test('what is missing or wrong is one line', async (t) => {
  const { run, create, isRefused } = accountsCommand(t)
  await create('ada@example.com')
  const service = ['create', '--service', '--name', 'billing']
  const long = Array.from({ length: 20 }, (_, i) => `${'x'.repeat(30)}:${i}`)
  const scopeFault = '--scope must be scopes of lower-case letters, digits and _.:/-'
  const expiresFault = '--expires must be a duration such as 12h or 90d, at most 3650d'
  await isRefused([
    [['create', '--service', '--scope', 'x'], "error: required option '--name <name>' not specified"],
    [service, "error: required option '--scope <scopes...>' not specified"],
    [
      [...service, '--email', 'a@example.com', '--scope', 'x'],
      "error: option '--service' cannot be used with option '--email <address>'",
    ],
    [
      ['create', '--email', 'a@example.com', '--scope', 'x'],
      "error: option '--scope <scopes...>' cannot be used with option '--email <address>'",
    ],
    [
      ['create', '--email', 'a@example.com', '--expires', '1d'],
      "error: option '--expires <duration>' cannot be used with option '--email <address>'",
    ],
    [['credential', 'ada@example.com'], "error: required option '--scope <scopes...>' not specified"],
    [[...service, '--scope', 'Read'], `latchkey: ${scopeFault}`],
    [[...service, '--scope', 'read write'], `latchkey: ${scopeFault}`],
    [[...service, '--scope', ''], `latchkey: ${scopeFault}`],
    [[...service, '--scope', ...long], 'latchkey: --scope has more than 256 characters'],
    [[...service, '--scope', 'x', '--role', 'king'], 'latchkey: --role must be one of user, admin'],
    [[...service, '--scope', 'x', '--expires', 'soon'], `latchkey: ${expiresFault}`],
    [[...service, '--scope', 'x', '--expires', '3651d'], `latchkey: ${expiresFault}`],
    [
      ['create', '--service', '--name', ' ', '--scope', 'x'],
      'latchkey: --name must have 1 to 100 characters',
    ],
    [['credential', 'ada@example.com', '--scope', 'x'], 'latchkey: Only a service account has credentials.'],
    [
      ['credential', '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071', '--scope', 'x'],
      'latchkey: There is no such account.',
    ],
    [
      ['credential', 'ada@example.com', '--scope', 'x', '--label', '\u0007'],
      'latchkey: --label must have 1 to 100 characters',
    ],
  ])
  const list = await run('list', '--json')
  t.equal(list.stdout.trim().split('\n').length, 1, 'and none is made')
})

t.test('a credential of a service whose name was removed has its id for a label', async (t) => {
  const { folder, run } = accountsCommand(t)
  const { account } = idsOf(await run('create', '--service', '--name', 'billing', '--scope', 'a'))
  const db = new DatabaseSync(join(folder, 'data', 'latchkey.db'))
  db.exec('update accounts set name = null')
  db.close()
  const { credential } = idsOf(await run('credential', account, '--scope', 'b'))
  t.match((await run('show', account)).stdout, new RegExp(`${credential} .*  b +${account}\n`))
})
