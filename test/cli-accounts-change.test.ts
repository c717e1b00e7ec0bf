import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { accountsCommand } from './helpers/accounts-command.ts'

t.test('an account is changed by its id or its address', async (t) => {
  const { run, create } = accountsCommand(t)
  const ada = await create('ada@example.com', '--role', 'admin')
  const grace = await create('grace@example.com')

  const disabled = await run('disable', ' Grace@EXAMPLE.com')
  t.match(disabled, { code: 0, stdout: new RegExp(`\n${grace} .* disabled `) })
  t.match(disabled.events, [{ event: 'account_disabled', actor: 'cli', subject: grace, sessions_ended: 0 }])
  const enabled = await run('enable', grace)
  t.match(enabled, { code: 0, stdout: / active / })
  t.match(enabled.events, [{ event: 'account_enabled', actor: 'cli', subject: grace }])
  const promoted = await run('roles', grace, 'user', 'admin', 'user')
  t.match(promoted, { code: 0, stdout: / admin,user / })
  t.match(promoted.events, [
    { event: 'account_roles_changed', roles_before: ['user'], roles_after: ['admin', 'user'] },
  ])
  t.match(await run('roles', ada, 'user'), { code: 0 })

  const last = { code: 1, stdout: '', stderr: 'latchkey: It is the last admin that can sign in.\n' }
  t.match(await run('disable', grace), last)
  t.match(await run('roles', 'grace@example.com', 'user'), last)
  t.strictSame((await run('disable', grace)).events, [], 'what is refused is no event')
})

t.test('a refusal is one line', async (t) => {
  const { folder, create, isRefused } = accountsCommand(t)
  const id = await create('ada@example.com')
  const unknown = '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071'
  await isRefused([
    [['show', unknown], 'latchkey: There is no such account.'],
    [['show', 'grace@example.com'], 'latchkey: There is no such account.'],
    [['disable', unknown], 'latchkey: There is no such account.'],
    [['enable', 'grace@example.com'], 'latchkey: There is no such account.'],
    [['roles', unknown, 'user'], 'latchkey: There is no such account.'],
    [['sign-out', unknown], 'latchkey: There is no such account.'],
    [['show', 'ada'], 'latchkey: <account> must be an id or an address'],
    [['show', `service:${id}`], 'latchkey: <account> must be an id or an address'],
    [['roles', id, 'king'], 'latchkey: <role> must be one of user, admin'],
    [['sign-out', id, '--session', 'x'], 'latchkey: --session must be an id'],
    [['list', '--role', 'king'], 'latchkey: --role must be one of user, admin'],
    [['list', '--status', 'gone'], 'latchkey: --status must be active or disabled'],
    [['list', '--limit', '101'], 'latchkey: --limit must be from 1 to 100'],
    [['list', '--query', ''], 'latchkey: --query must have 1 to 256 characters'],
    [['list', '--cursor', 'x'], 'latchkey: The cursor is none that a page gave.'],
  ])
  const database = new DatabaseSync(join(folder, 'data', 'latchkey.db'))
  t.equal(
    database.prepare('select count(*) as count from revocations').get()?.count,
    0,
    'and nothing is done',
  )
  database.close()
})
