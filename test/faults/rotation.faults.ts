// Run by `npm run test:faults`: it takes half a minute. REQUESTS says how many guarded requests there are at least.
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { generateSecret, kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { poll } from '../helpers/poll.ts'
import { createPostgresDatabase } from '../helpers/postgres.ts'
import { emptyFolder, startCli, startServer } from '../helpers/process.ts'
import { PASSWORD } from '../helpers/service.ts'

const REQUESTS = Number(process.env.REQUESTS ?? 50_000)
const ACCESS_TOKEN_TTL = '2s'
const PROPAGATION = '4s'

/** Milliseconds that a changed file needs to the machine of the second node. */
const LAG = 2_000

const USERS = 8
const GUARDED_LOOPS = 12
const REFRESH_PAUSE = 100
const LOGIN_PAUSE = 400

interface Token {
  readonly token: string
  readonly kid: string
  /** The node that signed it. */
  readonly node: number
  /** Until when it is valid, in milliseconds since 1970, without any leeway. */
  readonly expiresAt: number
}

interface User {
  readonly email: string
  readonly refreshToken: string
}

const agent = new Agent({ keepAlive: true })

interface Reply {
  readonly status: number
  readonly body: Record<string, unknown>
}

/** Asks on a connection that is kept. */
function ask(
  url: string,
  path: string,
  { token, body }: { token?: string; body?: object } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    }
    const method = body === undefined ? 'GET' : 'POST'
    const sent = httpRequest(url + path, { agent, method, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

async function signUp(url: string, email: string): Promise<User> {
  const { status, body } = await ask(url, '/auth/signup', { body: { email, password: PASSWORD } })
  if (status !== 201) throw new Error(`sign-up answered ${status}`)
  return { email, refreshToken: Object(body.tokens).refresh_token }
}

function partOf(token: string, index: number): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[index] as string, 'base64url').toString())
}

/** Signs people in on both nodes again and again, and uses their tokens on both for as long as they are valid. */
function createLoad(urls: readonly [string, string]) {
  const tally = { guarded: 0, elsewhere: 0, refused401: 0, other: 0, mints: 0, failedMints: 0 }
  /** How many guarded requests came with a token of which secret. */
  const byKid = new Map<string, number>()
  const faults: unknown[] = []
  let tokens: Token[] = []
  let ended = false

  function keep(reply: Reply, node: number): void {
    if (reply.status !== 200) {
      tally.failedMints++
      faults.push(reply)
      return
    }
    tally.mints++
    const token = String(reply.body.access_token)
    const expiresAt = Number(partOf(token, 1).exp) * 1_000
    tokens = tokens.filter((known) => known.expiresAt > Date.now())
    tokens.push({ token, kid: String(partOf(token, 0).kid), node, expiresAt })
  }

  async function logInAgainAndAgain(email: string): Promise<void> {
    for (let node: 0 | 1 = 0; !ended; node = node === 0 ? 1 : 0) {
      keep(await ask(urls[node], '/auth/login', { body: { email, password: PASSWORD } }), node)
      await sleep(LOGIN_PAUSE)
    }
  }

  async function refreshAgainAndAgain({ refreshToken: first }: User): Promise<void> {
    let refreshToken: unknown = first
    for (let node: 0 | 1 = 1; !ended; node = node === 0 ? 1 : 0) {
      const reply = await ask(urls[node], '/auth/refresh', { body: { refresh_token: refreshToken } })
      keep(reply, node)
      refreshToken = reply.body.refresh_token
      await sleep(REFRESH_PAUSE)
    }
  }

  async function useAgainAndAgain(): Promise<void> {
    for (let count = 0; !ended; count++) {
      const chosen = tokens[Math.floor(Math.random() * tokens.length)]
      if (chosen === undefined || chosen.expiresAt <= Date.now()) {
        // None is there yet, or this one's time is over.
        await sleep(1)
        continue
      }
      // Three of four times it is not the node that signed it.
      const node = (count % 4 === 0 ? chosen.node : 1 - chosen.node) as 0 | 1
      const reply = await ask(urls[node], '/me', { token: chosen.token })
      tally.guarded++
      if (node !== chosen.node) tally.elsewhere++
      byKid.set(chosen.kid, (byKid.get(chosen.kid) ?? 0) + 1)
      if (reply.status === 200) continue
      if (reply.status === 401) tally.refused401++
      else tally.other++
      faults.push(reply)
    }
  }

  return {
    tally,
    byKid,
    faults,
    async run([first, ...others]: readonly [User, ...User[]]): Promise<void> {
      await Promise.all([
        // One at a time: passwords are hashed slowly, and who would have to wait too long for that gets a 503.
        logInAgainAndAgain(first.email),
        ...others.map(refreshAgainAndAgain),
        ...Array.from({ length: GUARDED_LOOPS }, useAgainAndAgain),
      ])
    },
    end() {
      ended = true
    },
  }
}

/** Does a step as soon as the command lets it. @returns what it printed */
async function step(t: Test, name: string, file: string): Promise<string> {
  for (;;) {
    const args = ['secret', 'rotate', '--file', file, '--step', name, '--propagation', PROPAGATION]
    const cli = startCli(t, args, { env: { ACCESS_TOKEN_TTL } })
    const { code } = await cli.ended()
    if (code === 0) return cli.stdout()
    const [, left] = /too early to \w+: (\d+) s left/.exec(cli.stderr()) ?? []
    if (left === undefined) throw new Error(cli.stderr())
    await sleep(Number(left) * 1_000)
  }
}

t.test('a secret is replaced on two nodes under load, and no valid token is refused', async (t) => {
  const begun = performance.now()
  const { url: databaseUrl, drop } = await createPostgresDatabase()
  t.teardown(drop)
  const folder = emptyFolder(t)
  const files = [join(folder, 'one'), join(folder, 'other')] as const
  const secret = generateSecret()
  for (const file of files) writeFileSync(file, secret)
  const nodes = await Promise.all(
    files.map((file) =>
      startServer(t, {
        env: { NODE_ENV: 'production', JWT_SECRET_FILE: file, ACCESS_TOKEN_TTL, DATABASE_URL: databaseUrl },
      }),
    ),
  )
  const urls = nodes.map(({ url }) => url) as [string, string]
  const users: User[] = []
  for (const index of Array(USERS).keys()) users.push(await signUp(urls[0], `user${index}@example.com`))

  async function haveKids(kids: readonly string[]): Promise<void> {
    const known = async (url: string) => Object((await ask(url, '/readyz')).body.keys).verifying
    await poll('both nodes to have the secrets', async () => {
      const both = await Promise.all(urls.map(known))
      return both.every((each) => String(each) === String(kids))
    })
  }

  // Signed by the first secret, now, whenever that is.
  const [bytes] = parseSecrets(secret) as [Buffer]
  const handMadeNow = () =>
    handMade(
      { ...goodHeader, kid: kidOf(bytes) },
      { ...goodClaims(Date.now()), exp: Math.floor(Date.now() / 1_000) + 60 },
      bytes,
    )
  const withTheOldSecret = () => Promise.all(urls.map((url) => ask(url, '/me', { token: handMadeNow() })))

  const load = createLoad(urls)
  const running = load.run(users as [User, ...User[]])
  for (const name of ['next', 'promote', 'retire']) {
    t.match(await withTheOldSecret(), [{ status: 200 }, { status: 200 }], `before ${name}`)
    const printed = await step(t, name, files[0])
    t.comment(`${name} at ${Math.round(performance.now() - begun)} ms`, printed.trim().split('\n'))
    await sleep(LAG)
    copyFileSync(files[0], `${files[1]}.new`)
    renameSync(`${files[1]}.new`, files[1])
    await haveKids(parseSecrets(readFileSync(files[0], 'utf8')).map(kidOf))
  }
  await poll(`${REQUESTS} guarded requests`, () => load.tally.guarded >= REQUESTS, 30_000)
  load.end()
  await running
  agent.destroy()

  const [current] = parseSecrets(readFileSync(files[0], 'utf8')).map(kidOf) as [string]
  t.comment(load.tally, Object.fromEntries(load.byKid), `${Math.round(performance.now() - begun)} ms`)
  t.strictSame(load.faults.slice(0, 3), [])
  t.match(load.tally, { refused401: 0, other: 0, failedMints: 0 }, 'no valid token is refused')
  t.ok(load.tally.guarded >= REQUESTS)
  t.ok(load.tally.elsewhere > load.tally.guarded / 2, 'mostly on the node that did not sign it')
  t.strictSame([...load.byKid.keys()], [kidOf(bytes), current], 'tokens of both secrets were used')
  t.ok([...load.byKid.values()].every((count) => count > 1_000))
  t.match(await withTheOldSecret(), [
    { status: 401, body: { code: 'token_invalid' } },
    { status: 401, body: { code: 'token_invalid' } },
  ])
  for (const { child, stdout } of nodes) {
    t.equal(child.exitCode, null)
    t.notMatch(stdout(), /"event":"secrets_refused"/)
  }
})
