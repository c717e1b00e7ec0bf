import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { generateSecret, parseSecrets } from '../src/tokens/secrets.ts'
import { logIn, request, signUp } from './helpers/client.ts'
import { emptyFolder, type ServerProcess, startCli, startServer } from './helpers/process.ts'

async function stop(server: ServerProcess): Promise<void> {
  server.child.kill('SIGTERM')
  await server.ended()
}

function logged(server: ServerProcess, what: RegExp): Record<string, unknown>[] {
  const lines = server.stdout().trim().split('\n')
  return lines.map((line) => JSON.parse(line)).filter(({ msg }) => what.test(msg))
}

const modeOf = (path: string) => statSync(path).mode & 0o777

t.test('outside production a secret is made once, kept to its owner, and outlives a restart', async (t) => {
  const first = await startServer(t)
  const { folder } = first
  const path = join(folder, 'data', 'jwt-secret')
  t.equal(modeOf(path), 0o600)
  t.equal(modeOf(join(folder, 'data')), 0o700)
  t.equal(parseSecrets(readFileSync(path, 'utf8').trim())[0]?.length, 32)
  const token = await signUp(first.url, 'ada@example.com')
  await stop(first)
  t.strictSame(
    logged(first, /JWT_SECRET/).map(({ level, msg }) => ({ level, msg })),
    [{ level: 30, msg: 'JWT_SECRET is not set: made a secret and kept it' }],
  )
  t.notOk(first.stdout().includes(readFileSync(path, 'utf8').trim()), 'the secret itself is not logged')

  const second = await startServer(t, { folder })
  t.match(await request(second.url, '/me', { token }), { status: 200 })
  await stop(second)
  t.match(logged(second, /JWT_SECRET/), [{ msg: 'JWT_SECRET is not set: took the kept secret' }])
})

t.test('two that start at once on the same new folder share the secret and the database', async (t) => {
  const folder = emptyFolder(t)
  const [one, other] = await Promise.all([startServer(t, { folder }), startServer(t, { folder })])
  const token = await signUp(one.url, 'ada@example.com')
  t.match(await request(other.url, '/me', { token }), { status: 200 })
  const otherToken = await logIn(other.url, 'ada@example.com')
  t.match(await request(one.url, '/me', { token: otherToken }), { status: 200 })
  await Promise.all([stop(one), stop(other)])
  const made = [one, other].flatMap((server) => logged(server, /made a secret/))
  t.equal(made.length, 1, 'one of them made it')
})

t.test('a new first secret signs, and tokens of the one before are still let in', async (t) => {
  const [before, after] = [generateSecret(), generateSecret()]
  const first = await startServer(t, { env: { JWT_SECRET: before } })
  const token = await signUp(first.url, 'ada@example.com')
  await stop(first)
  t.throws(() => statSync(join(first.folder, 'data', 'jwt-secret')), { code: 'ENOENT' }, 'none is made')

  const rotated = await startServer(t, { folder: first.folder, env: { JWT_SECRET: `${after},${before}` } })
  t.match(await request(rotated.url, '/me', { token }), { status: 200 })
  const newToken = await logIn(rotated.url, 'ada@example.com')
  await stop(rotated)

  const retired = await startServer(t, { folder: first.folder, env: { JWT_SECRET: after } })
  t.match(await request(retired.url, '/me', { token: newToken }), { status: 200 })
  t.match(await request(retired.url, '/me', { token }), { status: 401, json: { code: 'token_invalid' } })
  await stop(retired)
})

t.test('a kept secret that was spoilt stops the start in one line', async (t) => {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'jwt-secret'), 'canary')
  const server = startCli(t, ['serve'], { folder, env: { DATABASE_URL: 'file:latchkey.db' } })
  t.match(await server.ended(), { code: 1 })
  t.equal(
    server.stderr(),
    'latchkey: JWT_SECRET is not set, and no secret can be kept in jwt-secret (needs at least 32 bytes in each secret)\n',
  )
})
