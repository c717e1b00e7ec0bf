import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { logIn, request, signUp } from '../helpers/client.ts'
import { freePort } from '../helpers/free-port.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { PROMPTLY, poll } from '../helpers/poll.ts'
import { spawnNode, startCli, startServer } from '../helpers/process.ts'
import { databases, SECRET } from '../helpers/service.ts'

/** A service of another team: a process of its own that verifies Latchkey's tokens. */
interface OtherService {
  readonly name: string
  readonly url: string
  stdout(): string
}

async function startOther(t: Test, name: string, env: Record<string, string>): Promise<OtherService> {
  const file = fileURLToPath(new URL(`services/${name}.ts`, import.meta.url))
  const child = spawnNode([file], { env })
  t.teardown(() => child.kill('SIGKILL'))
  let stdout = ''
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (chunk) => {
      stdout += chunk
    })
  }
  const url = await poll(`${name} to listen`, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${stdout}`)
    return /listening at (http:\S+)/.exec(stdout)?.[1]
  })
  return { name: `${name} with ${env.MAX_STALENESS ?? 'any'} s`, url, stdout: () => stdout }
}

async function codeOf({ url }: OtherService, token: string): Promise<unknown> {
  const { status, json } = await request(url, '/', { token })
  return status === 200 ? 'let in' : `${status} ${json.code}`
}

async function logOut(url: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, connection: 'close' }
  const { status } = await fetch(`${url}/auth/logout`, { method: 'POST', headers })
  if (status !== 204) throw new Error(`logout answered ${status}`)
}

for (const database of databases) {
  t.test(`services beside Latchkey hear of it, live without it, and catch up, on ${database}`, async (t) => {
    const env = {
      JWT_SECRET: SECRET,
      DATABASE_URL: await emptyDatabase(t, database),
      PORT: String(await freePort()),
    }
    const latchkey = await startServer(t, { env })
    const { url } = latchkey
    const run = async (...args: string[]) => {
      const cli = startCli(t, args, { env })
      const { code } = await cli.ended()
      if (code !== 0) throw new Error(`latchkey ${args.join(' ')}: ${cli.stderr()}`)
      return cli
    }
    const created = await run(
      'accounts',
      'create',
      '--service',
      '--name',
      'orders',
      '--scope',
      'revocations:read',
    )
    const credential = created.stdout().trim()
    const account = /account (\S+)/.exec(created.stderr())?.[1] as string

    const known = { SECRET, LATCHKEY: url, CREDENTIAL: credential }
    const start = (extra: Record<string, string>) =>
      Promise.all(['express', 'fastify'].map((name) => startOther(t, name, { ...known, ...extra })))
    const open = await start({})
    const closed = await start({ MAX_STALENESS: '3' })
    const all = [...open, ...closed]
    const connections = ({ stdout }: OtherService) => stdout().split('connected').length - 1
    const everywhere = async (
      services: readonly OtherService[],
      token: string,
      expected: string,
      deadline?: number,
    ) => {
      for (const service of services)
        await poll(
          `${service.name}: ${expected}`,
          async () => (await codeOf(service, token)) === expected,
          deadline,
        )
    }
    for (const service of all) await poll('its connection', () => connections(service) === 1)

    const email = `${randomUUID()}@example.com`
    await signUp(url, email)
    const delays: number[] = []
    for (let n = 0; n < 20; n++) {
      const token = await logIn(url, email)
      await everywhere(all, token, 'let in', 0)
      await logOut(url, token)
      const answered = performance.now()
      await everywhere(all, token, '401 token_revoked', PROMPTLY)
      delays.push(Math.round(performance.now() - answered))
    }
    t.ok(Math.max(...delays) < PROMPTLY)
    t.comment(
      `ms from the answer of a log-out to its refusal by all four: ${delays.sort((a, b) => a - b).join(', ')}`,
    )

    const changed = await signUp(url, `${randomUUID()}@example.com`)
    const { sub } = (await request(url, '/me', { token: changed })).json
    await run('accounts', 'roles', String(sub), 'admin', 'user')
    await everywhere(all, changed, '401 token_stale')

    const [stays, ends] = [await logIn(url, email), await signUp(url, `${randomUUID()}@example.com`)]
    const gone = await logIn(url, email)
    await logOut(url, gone)
    await everywhere(all, gone, '401 token_revoked', PROMPTLY)
    latchkey.child.kill('SIGKILL')
    await latchkey.ended()

    const { sub: ending } = JSON.parse(Buffer.from(ends.split('.')[1] as string, 'base64url').toString())
    await run('accounts', 'sign-out', ending)
    await everywhere(open, stays, 'let in', 0)
    await everywhere(open, ends, 'let in', 0)
    await everywhere(closed, stays, '503 revocations_stale')
    await everywhere(all, gone, '401 token_revoked', 0)
    await everywhere(open, stays, 'let in', 0)

    await startServer(t, { env })
    await everywhere(all, ends, '401 token_revoked')
    await everywhere(all, stays, 'let in')
    await everywhere(all, gone, '401 token_revoked', 0)
    for (const service of all)
      await poll(`${service.name} to have connected once more`, () => connections(service) === 2)

    await run('accounts', 'sign-out', account)
    for (const { name, stdout } of all) {
      await poll(`${name} to be cut off`, () =>
        stdout().includes('POST /auth/token answered 401 (invalid_credentials)'),
      )
    }
    await everywhere(closed, stays, '503 revocations_stale')
    await everywhere(open, stays, 'let in', 0)
  })
}
