import t from 'tap'
import { openDatabase } from '../src/database/open.ts'
import { insertEvents, someEvent } from './helpers/audit.ts'
import { emptyDatabase, openAsNode } from './helpers/nodes.ts'
import { emptyFolder, startCli } from './helpers/process.ts'
import { createService } from './helpers/service.ts'

t.test('latchkey audit shows people and programs what happened', async (t) => {
  const url = await emptyDatabase(t, 'sqlite')
  const service = await createService(t, { database: await openAsNode(t, url) })
  const ada = await service.signUp('Ada@example.com')
  service.clock.advance(1)
  const headers = { 'user-agent': 'evil\u001b[2Jclient' }
  await service.send('POST', '/auth/login', { body: { email: ada.email, password: 'x' }, headers })
  const now = Date.now()
  const old = someEvent(now - 25 * 3_600_000, { ip: '2001:db8::1', details: '{"reason":"\\u001b[2Jx"}' })
  await insertEvents(service.database.db, [old])

  async function run(...args: readonly string[]) {
    const cli = startCli(t, ['audit', ...args], { env: { DATABASE_URL: url } })
    const { code } = await cli.ended(60_000)
    return { code, stdout: cli.stdout(), stderr: cli.stderr() }
  }
  const eventsOf = ({ stdout }: { stdout: string }) =>
    stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))

  const table = await run()
  t.equal(table.code, 0, table.stderr)
  const [head = '', failed = '', signup = '', last = '', ...rest] = table.stdout.split('\n')
  t.strictSame(rest, [''])
  t.match(head, /^TIME +EVENT +ACTOR +ACCOUNT +SESSION +IP +DETAILS$/)
  const id = ada.accountId
  t.match(
    failed,
    new RegExp(
      `^20\\S+Z  login_failed  - +${id}  - +127.0.0.1 +\\{"reason":"invalid_credentials","failures":1\\}$`,
    ),
  )
  t.match(signup, new RegExp(`^20\\S+Z  signup +${id}  ${id}  ${ada.sessionId}  127.0.0.1 +-$`))
  t.match(last, /2001:db8::1 {2}\{"reason":"\\u001b\[2Jx"\}$/)
  t.notOk(table.stdout.includes('\u001b'), 'nothing in it speaks to the terminal')
  t.match(JSON.parse(table.stderr), { event: 'audit_read', actor: 'cli', events: 3 })

  const filters: readonly (readonly [args: readonly string[], found: readonly string[]])[] = [
    [['--account', 'ada@EXAMPLE.com', '--since', '24h', '--outcome', 'failure'], ['login_failed']],
    [['--account', id.toUpperCase(), '--actor', id, '--event', 'signup'], ['signup']],
    [['--since', '26h', '--ip', '2001:DB8::1'], ['login']],
    [['--since', '24h', '--ip', '2001:DB8::1'], []],
  ]
  const results = await Promise.all(filters.map(([args]) => run('--json', ...args)))
  filters.forEach(([args, found], index) => {
    const events = eventsOf(results[index] as { stdout: string }).map(({ event }) => event)
    t.strictSame(events, found, args.join(' '))
  })

  const first = await run('--json', '--limit', '1', '--ip', '127.0.0.1')
  t.match(eventsOf(first), [
    { event: 'login_failed', actor: null, subject: id, user_agent: 'evil?[2Jclient' },
  ])
  const cursor = /^latchkey: there is more: --cursor (\S+)$/m.exec(first.stderr)?.[1] as string
  const next = await run('--json', '--ip', '127.0.0.1', '--cursor', cursor)
  t.match(eventsOf(next), [{ event: 'signup' }])
  t.notMatch(next.stderr, /there is more/)
})

t.test('what is mistyped is refused in a line', async (t) => {
  const folder = emptyFolder(t)
  const database = await openDatabase({
    url: `file:${folder}/data/latchkey.db`,
    poolSize: 1,
    onIdleError: () => {},
  })
  await database.close()
  const refusals: readonly (readonly [args: readonly string[], line: string])[] = [
    [['--event', 'king'], 'latchkey: --event must be the name of an event'],
    [['--actor', 'root'], 'latchkey: --actor must be an id, or cli'],
    [['--since', 'yesterday'], 'latchkey: --since must be a duration such as 24h or 7d, at most 3650d'],
    [['--account', 'nobody@example.com'], 'latchkey: There is no such account.'],
    [['--cursor', 'x'], 'latchkey: The cursor is none that a page gave.'],
  ]
  const results = await Promise.all(
    refusals.map(async ([args]) => {
      const cli = startCli(t, ['audit', ...args], { folder })
      const { code } = await cli.ended(60_000)
      return { code, stdout: cli.stdout(), stderr: cli.stderr() }
    }),
  )
  refusals.forEach(([args, line], index) => {
    t.strictSame(results[index], { code: 1, stdout: '', stderr: `${line}\n` }, args.join(' '))
  })
})
