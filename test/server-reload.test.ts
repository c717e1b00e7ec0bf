import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { generateSecret, kidOf, parseSecrets } from '../src/tokens/secrets.ts'
import { logIn, request, signUp } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder, type ServerProcess, startCli, startServer } from './helpers/process.ts'

const kidsOf = (text: string) => parseSecrets(text).map(kidOf)
const EMAIL = 'ada@example.com'

function logged(server: ServerProcess, event: string): Record<string, unknown>[] {
  const lines = server.stdout().split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line)).filter((line) => line.event === event)
}

/** Waits until a server has logged so many events of a name. @returns the last */
function nth(server: ServerProcess, event: string, count: number): Promise<Record<string, unknown>> {
  return poll(`${count} × ${event}`, () => logged(server, event)[count - 1])
}

async function stop(server: ServerProcess): Promise<void> {
  server.child.kill('SIGTERM')
  t.match(await server.ended(), { code: 0 })
}

t.test(
  'a file that changes is taken up without a signal, and a secret is not dropped too early',
  async (t) => {
    const [older, newer] = [generateSecret(), generateSecret()]
    const folder = emptyFolder(t)
    const path = join(folder, 'secret')
    writeFileSync(path, older)
    const env = { JWT_SECRET_FILE: path, NODE_ENV: 'production', ACCESS_TOKEN_TTL: '1s' }
    const server = await startServer(t, { folder, env })
    const token = await signUp(server.url, EMAIL)

    writeFileSync(path, `${older},${newer}`)
    t.match(await nth(server, 'secrets_reloaded', 1), {
      level: 30,
      path,
      kids_before: kidsOf(older),
      kids: kidsOf(`${older},${newer}`),
    })
    writeFileSync(path, `${newer},${older}`)
    await nth(server, 'secrets_reloaded', 2)
    const newToken = await logIn(server.url, EMAIL)
    const header = JSON.parse(Buffer.from(newToken.split('.')[0] as string, 'base64url').toString())
    t.equal(header.kid, kidsOf(newer)[0], 'the first signs')
    t.match(await request(server.url, '/me', { token: newToken }), { status: 200 })

    // Six seconds: a token of a second, and the leeway of clocks.
    writeFileSync(path, newer)
    t.match(await nth(server, 'secrets_refused', 1), { level: 50, seconds_left: Number })
    t.match(await nth(server, 'secrets_reloaded', 3), { kids: kidsOf(newer) }, 'taken up by itself')
    t.match(await request(server.url, '/me', { token }), { status: 401, json: { code: 'token_invalid' } })
    for (const secret of [older, newer]) t.notOk(server.stdout().includes(secret))
    await stop(server)
  },
)

t.test('SIGHUP reads the file at once, and a bad one is refused loudly', async (t) => {
  const [older, newer] = [generateSecret(), generateSecret()]
  const folder = emptyFolder(t)
  const path = join(folder, 'secret')
  writeFileSync(path, older)
  const server = await startServer(t, { folder, env: { JWT_SECRET_FILE: path } })
  const token = await signUp(server.url, EMAIL)

  server.child.kill('SIGHUP')
  t.match(await nth(server, 'secrets_unchanged', 1), { level: 30, kids: kidsOf(older) })

  writeFileSync(path, 'canary')
  server.child.kill('SIGHUP')
  t.match(await nth(server, 'secrets_refused', 1), {
    level: 50,
    reason: 'needs at least 32 bytes in each secret',
    kids: kidsOf(older),
  })
  t.notOk(server.stdout().includes('canary'))
  t.match(await request(server.url, '/me', { token }), { status: 200 }, 'the old list stays')

  writeFileSync(path, newer)
  server.child.kill('SIGHUP')
  const refused = await poll('a refusal', () =>
    logged(server, 'secrets_refused').find(({ seconds_left }) => seconds_left !== undefined),
  )
  t.equal(refused.seconds_left, 605)
  t.match(await request(server.url, '/me', { token }), { status: 200 })

  writeFileSync(path, `${newer},${older}`)
  server.child.kill('SIGHUP')
  await nth(server, 'secrets_reloaded', 1)
  t.match(await request(server.url, '/me', { token }), { status: 200 })
  await stop(server)
})

t.test('the secret that a service keeps for itself can be rotated as well, at once if need be', async (t) => {
  const server = await startServer(t)
  const { folder } = server
  const token = await signUp(server.url, EMAIL)
  const path = join('data', 'jwt-secret')
  const [leaked] = kidsOf(readFileSync(join(folder, path), 'utf8'))
  for (const step of ['next', 'promote', 'retire']) {
    const cli = startCli(t, ['secret', 'rotate', '--file', path, '--step', step, '--now'], { folder })
    t.match(await cli.ended(), { code: 0 })
  }
  await poll('the new secret alone', () =>
    logged(server, 'secrets_reloaded').some(({ kids }) => !(kids as string[]).includes(leaked as string)),
  )
  t.match(await request(server.url, '/me', { token }), { status: 401, json: { code: 'token_invalid' } })
  t.match(await request(server.url, '/me', { token: await logIn(server.url, EMAIL) }), { status: 200 })
  t.strictSame(logged(server, 'secrets_refused'), [])
  await stop(server)

  const again = await startServer(t, { folder })
  t.match(again.stdout(), /took the kept secret/, 'and is kept')
  await stop(again)
})

t.test('a secret in the environment stays what it is: SIGHUP says so and ends nothing', async (t) => {
  const secret = generateSecret()
  const server = await startServer(t, { env: { JWT_SECRET: secret } })
  for (const count of [1, 2]) {
    server.child.kill('SIGHUP')
    t.match(await nth(server, 'secrets_unchanged', count), {
      level: 30,
      kids: kidsOf(secret),
      reason: /environment/,
    })
  }
  t.match(await request(server.url, '/livez'), { status: 200 })
  await stop(server)
})
