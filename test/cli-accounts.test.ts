import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { createPostgresDatabase } from './helpers/postgres.ts'
import { type CliOptions, startCli, startServer } from './helpers/process.ts'
import { PASSWORD } from './helpers/service.ts'

const UUID_LINE = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\n$/

async function create(t: Test, args: readonly string[], options: CliOptions = {}) {
  const cli = startCli(t, ['accounts', 'create', ...args], { input: `${PASSWORD}\n`, ...options })
  const { code } = await cli.ended()
  return { code, stdout: cli.stdout(), stderr: cli.stderr(), folder: cli.folder }
}

async function logIn(url: string, email: string) {
  const reply = await fetch(`${url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD }),
  })
  const token = Object(await reply.json()).access_token
  const get = async (path: string) =>
    Object(await (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })).json())
  return { status: reply.status, claims: await get('/me'), account: await get('/account') }
}

t.test('an account that an operator made can log in, with the roles it was given', async (t) => {
  const admin = await create(t, ['--email', ' Ada@Example.COM', '--name', 'Ada Lovelace', '--role', 'admin'])
  t.match(admin, { code: 0, stdout: UUID_LINE })
  t.match(JSON.parse(admin.stderr), {
    event: 'account_created',
    actor: 'cli',
    subject: admin.stdout.trim(),
    roles_after: ['admin'],
  })
  t.notMatch(admin.stderr, /ada|lovelace/i, 'which names nobody')
  const { folder } = admin
  const user = await create(t, ['--email', 'grace@example.com'], { folder })
  const both = await create(t, ['--email', 'both@example.com', '--role', 'user', 'admin', 'user'], { folder })
  const { url } = await startServer(t, { folder })

  const ada = await logIn(url, 'ada@example.com')
  t.match(ada, { status: 200, claims: { sub: admin.stdout.trim(), roles: ['admin'] } })
  t.equal(ada.claims.scope, 'account admin revocations:read')
  t.match(ada.account, { email: 'Ada@example.com', name: 'Ada Lovelace', status: 'active' })

  const grace = await logIn(url, 'grace@example.com')
  t.match(grace, { status: 200, claims: { sub: user.stdout.trim(), scope: 'account' } })
  t.strictSame(grace.claims.roles, ['user'])
  t.equal(grace.account.name, null)

  const it = await logIn(url, 'both@example.com')
  t.match(it, { status: 200, claims: { sub: both.stdout.trim() } })
  t.strictSame(it.claims.roles, ['admin', 'user'])
})

t.test('it works on PostgreSQL as well', async (t) => {
  const { url: databaseUrl, drop } = await createPostgresDatabase()
  t.teardown(drop)
  const env = { DATABASE_URL: databaseUrl }
  t.match(await create(t, ['--email', 'ada@example.com', '--role', 'admin'], { env }), { code: 0 })
  t.match(await create(t, ['--email', 'ada@example.com'], { env }), { code: 1, stdout: '' })
  const server = await startServer(t, { env })
  t.match(await logIn(server.url, 'ada@example.com'), { status: 200, claims: { roles: ['admin'] } })
  server.child.kill('SIGTERM')
  await server.ended()
})

t.test('a refusal is one line; what nobody expected comes with its stack', async (t) => {
  const { folder } = await create(t, ['--email', 'ada@example.com'])
  const grace = ['--email', 'grace@example.com']
  const env = { PASSWORD_MIN_LENGTH: '20' }
  const refusals: readonly (readonly [args: readonly string[], input: string, reason: string])[] = [
    [['--email', 'ADA@example.com'], PASSWORD, 'The address has an account.'],
    [['--email', 'grace@localhost'], PASSWORD, '--email must be an e-mail address'],
    [[...grace, '--name', ' '], PASSWORD, '--name must have 1 to 100 characters'],
    [[...grace, '--role', 'king'], PASSWORD, '--role must be one of user, admin'],
    [grace, 'two\nlines', 'the password is too long or has a control character'],
    [grace, 'a walk by night', 'The password must have at least 20 characters.'],
  ]
  const results = await Promise.all(refusals.map(([args, input]) => create(t, args, { input, folder, env })))
  refusals.forEach(([args, input, reason], index) => {
    const what = `${args.join(' ')} with ${input}`
    t.strictSame(results[index], { code: 1, stdout: '', stderr: `latchkey: ${reason}\n`, folder }, what)
  })
  const database = new DatabaseSync(join(folder, 'data', 'latchkey.db'))
  t.equal(database.prepare('select count(*) as count from accounts').get()?.count, 1, 'and none is made')

  database.exec('drop table sessions; drop table accounts')
  database.close()
  const broken = await create(t, grace, { folder })
  t.match(broken, { code: 1, stdout: '' }, 'what nobody expected')
  t.match(broken.stderr, /no such table: accounts\n\s+at /, 'is told with its stack')
})

t.test('the roles that can be given are those that are configured', async (t) => {
  const env = { ROLES: '{"auditor":["audit:read"]}' }
  const auditor = ['--email', 'ada@example.com', '--role', 'auditor']
  const { folder } = await create(t, auditor, { env })
  const { url } = await startServer(t, { folder, env })
  t.match((await logIn(url, 'ada@example.com')).claims, { roles: ['auditor'], scope: 'audit:read' })
  t.match(await create(t, ['--email', 'grace@example.com', '--role', 'auditor'], { folder }), {
    code: 1,
    stderr: 'latchkey: --role must be one of user, admin\n',
  })
})
