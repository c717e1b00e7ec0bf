import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { accountsCommand } from './helpers/accounts-command.ts'
import { startServer } from './helpers/process.ts'
import { PASSWORD } from './helpers/service.ts'

t.test('accounts are listed for people and for programs', async (t) => {
  const { run, create } = accountsCommand(t)
  const ada = await create('ada@example.com', '--name', 'Ada Lovelace', '--role', 'admin', 'user')
  const grace = await create('grace@example.org')

  const table = await run('list')
  t.equal(table.code, 0)
  const [head = '', first = '', second = '', ...rest] = table.stdout.split('\n')
  t.strictSame(rest, [''])
  t.match(head, /^ID +ADDRESS +NAME +ROLES +STATUS +KIND +CREATED$/)
  t.match(first, new RegExp(`^${grace}  grace@example.org  -  +user  +active  person  20\\d\\d-.*Z$`))
  t.match(second, new RegExp(`^${ada}  ada@example.com    Ada Lovelace  admin,user  active  person  20`))
  for (const column of ['ADDRESS', 'NAME', 'STATUS', 'CREATED']) {
    const at = head.indexOf(column)
    for (const line of [first, second]) t.match(line.slice(at - 2, at + 1), /^ {2}\S/, `${column} is aligned`)
  }
  t.match(table.events, [{ event: 'accounts_listed', actor: 'cli', accounts: 2 }])
  t.notHas(table.events[0], { ip: String }, 'there is no client')

  const json = await run('list', '--json', '--limit', '1')
  t.match(JSON.parse(json.stdout), { id: grace, email: 'grace@example.org', name: null, kind: 'person' })
  t.equal(json.stdout.split('\n').length, 2, 'an object a line')
  const cursor = /^latchkey: there is more: --cursor (\S+)$/m.exec(json.stderr)?.[1] as string
  const next = await run('list', '--json', '--limit', '1', '--cursor', cursor)
  t.match(JSON.parse(next.stdout), { id: ada, roles: ['admin', 'user'], status: 'active' })
  t.notMatch(next.stderr, /there is more/)

  const filters: readonly (readonly [args: readonly string[], ids: readonly string[]])[] = [
    [['--query', 'LOVELACE'], [ada]],
    [['--query', grace], [grace]],
    [['--role', 'admin'], [ada]],
    [
      ['--status', 'active', '--query', 'example'],
      [grace, ada],
    ],
    [['--status', 'disabled'], []],
  ]
  const results = await Promise.all(filters.map(([args]) => run('list', '--json', ...args)))
  filters.forEach(([args, ids], index) => {
    const lines = results[index]?.stdout.split('\n').filter(Boolean) ?? []
    const found = lines.map((line) => JSON.parse(line).id)
    t.strictSame(found, ids, args.join(' '))
  })
})

t.test('an account is shown with its sessions, and nothing in it speaks to the terminal', async (t) => {
  const { folder, run, create } = accountsCommand(t)
  const id = await create('ada@example.com', '--role', 'admin')
  const server = await startServer(t, { folder })
  await fetch(`${server.url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': 'evil\t\u009b2Jclient' },
    body: JSON.stringify({ email: 'ada@example.com', password: PASSWORD }),
  })
  const shown = await run('show', 'ADA@example.com')
  t.equal(shown.code, 0)
  const [, account, empty, head, session] = shown.stdout.split('\n')
  t.match(account, new RegExp(`^${id}  ada@example.com`))
  t.equal(empty, '')
  t.match(head, /^SESSION +KIND +LAST USED +EXPIRES +IP +SCOPE +CLIENT$/)
  t.match(session, /^[\da-f-]{36} {2}login {2}20\S+Z {2}20\S+Z {2}127\.0\.0\.1 {2}- +evil\?\?2Jclient$/)
  t.match(shown.events, [{ event: 'account_read', actor: 'cli', subject: id }])

  const json = JSON.parse((await run('show', id.toUpperCase(), '--json')).stdout)
  t.match(json, {
    id,
    email: 'ada@example.com',
    sessions: [{ kind: 'login', current: false, ip: '127.0.0.1' }],
  })

  const [sessionId] = String(session).split(' ')
  const ended = await run('sign-out', id, '--session', String(sessionId).toUpperCase())
  t.match(ended, { code: 0, stdout: '1 ended.\n' })
  t.match(ended.events, [
    { event: 'account_signed_out', subject: id, session_id: sessionId, sessions_ended: 1 },
  ])
  const again = await run('sign-out', id, '--session', String(sessionId))
  t.match(again, { code: 1, stdout: '', stderr: 'latchkey: The account has no such session.\n' })
  t.match(await run('sign-out', id), { code: 0, stdout: '0 ended.\n' })
})

t.test('where there is no database, none is made but for the first account', async (t) => {
  const { folder, run, create } = accountsCommand(t)
  const nowhere = await run('list')
  t.match(nowhere, { code: 1, stdout: '' })
  t.equal(nowhere.stderr, 'latchkey: DATABASE_URL: there is no database at ./data/latchkey.db\n')
  t.notOk(existsSync(join(folder, 'data')))
  await create('ada@example.com')
  t.match(await run('list'), { code: 0, stdout: /ada@example\.com/ })
})
