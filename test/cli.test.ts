import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parseSecrets } from '../src/tokens/secrets.ts'
import { createPostgresDatabase } from './helpers/postgres.ts'
import { type CliOptions, emptyFolder, startCli } from './helpers/process.ts'

const EXIT_CONFIG = 78

async function run(t: Test, args: readonly string[], options?: CliOptions) {
  const cli = startCli(t, args, options)
  const { code } = await cli.ended()
  return { code, stdout: cli.stdout(), stderr: cli.stderr(), folder: cli.folder }
}

t.test('--help names every command and gives examples', async (t) => {
  const [program, create] = await Promise.all([run(t, ['--help']), run(t, ['accounts', 'create', '--help'])])
  t.match(program, { code: 0, stderr: '' })
  for (const command of ['serve', 'migrate', 'secret', 'accounts']) {
    t.match(program.stdout, new RegExp(`^  ${command} +[a-z]`, 'm'))
  }
  t.match(program.stdout, /^ {2}\$ latchkey serve$/m)
  t.match(program.stdout, /\.env\b/)
  t.match(create, { code: 0, stdout: /--email <address>/ })
  t.match(create.stdout, /standard\s+input, never\s+from\s+the\s+arguments/)
})

t.test('without a command the help is shown, and that is an error', async (t) => {
  t.match(await run(t, []), { code: 1, stdout: '', stderr: /^Usage: latchkey/ })
})

t.test('--version prints the version', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  t.match(await run(t, ['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('what is unknown is refused with a hint', async (t) => {
  const account = ['accounts', 'create', '--email', 'ada@example.com']
  const mistakes: readonly (readonly [args: readonly string[], error: RegExp])[] = [
    [['sreve'], /^error: unknown command 'sreve'\n\(Did you mean serve\?\)\n/],
    [['serve', '--port', '1'], /^error: unknown option '--port'/],
    [[...account, '--password', 'a long walk by the river'], /^error: unknown option '--password'/],
    [['accounts', 'create'], /^error: required option '--email <address>' not specified/],
  ]
  const results = await Promise.all(mistakes.map(([args]) => run(t, args)))
  mistakes.forEach(([args, error], index) => {
    t.match(results[index], { code: 1, stdout: '' }, args.join(' '))
    t.match(results[index]?.stderr, error)
    t.match(results[index]?.stderr, /\(latchkey --help says what there is\)\n$/)
  })
})

t.test('secret prints a secret that can be used, another one each time', async (t) => {
  const [one, other] = await Promise.all([run(t, ['secret']), run(t, ['secret'])])
  t.match(one, { code: 0, stderr: '' })
  t.equal(parseSecrets(one.stdout.trim())[0]?.length, 32)
  t.equal(one.stdout, `${one.stdout.trim()}\n`)
  t.not(one.stdout, other.stdout)
})

t.test('migrate brings SQLite up to date, once, and leaves alone what a later version made', async (t) => {
  const first = await run(t, ['migrate'])
  t.match(first, { code: 0, stdout: 'The database is up to date.\n', stderr: '' })
  const database = new DatabaseSync(join(first.folder, 'data', 'latchkey.db'))
  t.teardown(() => database.close())
  const migrations = database.prepare('select * from latchkey_migrations')
  const before = migrations.all()
  t.ok(before.length > 0)
  const again = await run(t, ['migrate'], { folder: first.folder })
  t.match(again, { code: 0, stdout: first.stdout, stderr: '' })
  t.strictSame(migrations.all(), before)

  // What a later version leaves behind.
  database.exec(`insert into latchkey_migrations (name, timestamp) values ('9999-later', '')`)
  const { code, stderr } = await run(t, ['migrate'], { folder: first.folder })
  t.equal(code, 1)
  t.match(stderr, /^latchkey: DATABASE_URL: the database can't be opened \(.*9999-later.*\)\n$/)
})

t.test('migrate brings PostgreSQL up to date, and does no harm a second time', async (t) => {
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  for (const time of ['first', 'second']) {
    const result = await run(t, ['migrate'], { env: { DATABASE_URL: url } })
    t.match(result, { code: 0, stdout: 'The database is up to date.\n', stderr: '' }, time)
  }
})

t.test('every fault of the configuration is a line on standard error, without its value', async (t) => {
  const env = { PORT: 'canary', JWT_SECRET: 'canary', ACCESS_TOKEN_TTL: 'canary', LOG_LEVEL_FILE: 'canary' }
  for (const command of [['serve'], ['accounts', 'create', '--email', 'ada@example.com']]) {
    const { code, stdout, stderr } = await run(t, command, { env })
    t.equal(code, EXIT_CONFIG)
    t.equal(stdout, '')
    t.strictSame(stderr.trimEnd().split('\n'), [
      "latchkey: LOG_LEVEL_FILE can't be read (ENOENT)",
      'latchkey: JWT_SECRET needs at least 32 bytes in each secret',
      'latchkey: ACCESS_TOKEN_TTL must be a duration such as 30s, 10m or 7d, at most 1h',
      'latchkey: PORT must be a whole number from 0 to 65535',
    ])
  }
})

t.test('.env in the folder is read, and the environment goes before it', async (t) => {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, '.env'), 'PORT=from-env-file\nLOG_LEVEL=from-env-file\n')
  const { code, stderr } = await run(t, ['serve'], { folder, env: { PORT: '0' } })
  t.equal(code, EXIT_CONFIG)
  t.match(stderr, /^latchkey: LOG_LEVEL [^\n]*\n$/)
})

t.test('a .env that is no file is a fault', async (t) => {
  const folder = emptyFolder(t)
  mkdirSync(join(folder, '.env'))
  t.match(await run(t, ['migrate'], { folder }), {
    code: EXIT_CONFIG,
    stderr: /^latchkey: \.env can't be read \(\w+\)\n$/,
  })
})

t.test('what can not be printed is no success: it may have been printed this once', async (t) => {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'out'), '')
  const out = openSync(join(folder, 'out'), 'r')
  t.teardown(() => closeSync(out))
  const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
  for (const args of [['secret'], ['accounts', 'create', '--service', '--name', 'billing', '--scope', 'a']]) {
    const stdio = ['ignore', out, 'pipe'] as const
    const { status, stderr } = spawnSync(process.execPath, [cli, ...args], { cwd: folder, stdio: [...stdio] })
    t.equal(status, 1, args.join(' '))
    t.match(stderr.toString(), /^latchkey: standard output can't be written \(EBADF\)$/m)
  }
})
