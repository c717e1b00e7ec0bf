import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { SERVER_CORE } from './cores.ts'
import { freePort, start } from './process.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const ISSUER = 'http://localhost:3000'
const AUDIENCE = 'latchkey'

/** The longest that a token may live, in seconds: as long as a bench takes. */
const TOKEN_TTL = 3_600

const SIGN_UP_TRIES = 40

export const PASSWORD = 'a long walk by the river'

/** The flags and the environment of `npm start`, for any process that stands for the service. */
export const productionFlags = ['--max-semi-space-size=2']
export const productionEnv = {
  NODE_ENV: 'production',
  MALLOC_ARENA_MAX: '1',
  NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/latchkey'),
}

export interface LatchkeyOptions {
  /** 'sqlite' is a fresh file in a folder of its own, which is removed at the end; else a PostgreSQL URL. */
  readonly database: 'sqlite' | (string & {})
  /** Added to what is set as for production. */
  readonly env?: Readonly<Record<string, string>>
  /** The core of the server under test, unless another is given. */
  readonly core?: number
  /** The secret it shares with other nodes; a new one unless it is given. */
  readonly secret?: Buffer
}

/** Somebody who signed up. */
export interface Member {
  readonly accountId: string
  readonly sessionId: string
  readonly email: string
  readonly password: string
  /** As the sign-up gave it: it lives for ACCESS_TOKEN_TTL, ten minutes by default. */
  readonly accessToken: string
  readonly refreshToken: string
}

export interface Latchkey {
  readonly url: string
  readonly pid: number
  readonly secret: Buffer
  /** DATABASE_URL, for who prepares rows without the service. */
  readonly databaseUrl: string
  /** Milliseconds from its start until it was ready. */
  readonly startMs: number
  signUp(): Promise<Member>
  /** A token for an hour, as the service mints it, of somebody who signed up for it. */
  accessToken(): Promise<string>
  /** How often the guard found a token in its memory since it started, and how often it didn't. */
  tokenLookups(): Promise<{ hits: number; misses: number }>
  stop(): Promise<void>
}

/** Starts Latchkey's build as for production: `npm run build` comes before. It is ready when this resolves. */
export async function startLatchkey(options: LatchkeyOptions): Promise<Latchkey> {
  const { database, env = {}, core = SERVER_CORE, secret = randomBytes(32) } = options
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const databaseUrl = database === 'sqlite' ? `file:${join(folder, 'latchkey.db')}` : database
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const begun = performance.now()
  const server = start(process.execPath, {
    args: [...productionFlags, join(ROOT, 'dist/cli.js'), 'serve'],
    env: {
      ...productionEnv,
      JWT_SECRET: `base64:${secret.toString('base64')}`,
      DATABASE_URL: databaseUrl,
      PORT: String(port),
      ...env,
    },
    core,
    // No .env of a developer's is read here.
    cwd: folder,
  })
  async function stop(): Promise<void> {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await server.ready(async () => (await fetch(`${url}/readyz`)).ok)
  } catch (error) {
    await stop()
    throw error
  }
  const startMs = performance.now() - begun
  return {
    url,
    pid: server.pid,
    secret,
    databaseUrl,
    startMs,
    signUp: () => signUp(url),
    async accessToken() {
      const [token] = await mintTokens(secret, await signUp(url), 1)
      return token as string
    },
    tokenLookups: () => tokenLookups(url),
    stop,
  }
}

/** Signs somebody new up. One that is turned away, since there is too much to do, tries again for a while. */
export async function signUp(url: string): Promise<Member> {
  const email = `${randomUUID()}@example.com`
  const wish = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD, name: 'Ada Lovelace' }),
  }
  let response = await fetch(`${url}/auth/signup`, wish)
  for (let tries = 1; response.status === 503 && tries < SIGN_UP_TRIES; tries++) {
    await response.body?.cancel()
    await setTimeout(250)
    response = await fetch(`${url}/auth/signup`, wish)
  }
  const body = await response.json()
  if (!response.ok) throw new Error(`POST /auth/signup answered ${response.status}: ${JSON.stringify(body)}`)
  const { account, tokens } = body as {
    account: { id: string }
    tokens: { access_token: string; refresh_token: string }
  }
  const [, claims = ''] = tokens.access_token.split('.')
  const { sid } = JSON.parse(Buffer.from(claims, 'base64url').toString())
  return {
    accountId: account.id,
    sessionId: sid,
    email,
    password: PASSWORD,
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
  }
}

/**
 * Different tokens of one account, made by the service's own mint. Each is good for an hour.
 *
 * @param subject without a session, each token is of another, which no database knows; the guard asks none
 */
export async function mintTokens(
  secret: Buffer,
  { accountId, sessionId }: { readonly accountId: string; readonly sessionId?: string },
  count: number,
): Promise<string[]> {
  const keyring = await createKeyring([secret], { issuer: ISSUER, audience: AUDIENCE })
  const mint = createMint(keyring, { issuer: ISSUER }, TOKEN_TTL)
  const now = Date.now()
  const subject = {
    ...{ accountId, roles: ['user'], scopes: ['account'], audience: AUDIENCE },
    sessionExpiresAt: now + 2 * TOKEN_TTL * 1_000,
  }
  const mintOne = () => mint({ ...subject, sessionId: sessionId ?? randomUUIDv7() }, now).token
  return Array.from({ length: count }, mintOne)
}

/** @param token an access token, or whatever stands after Bearer */
export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` }
}

/** What GET /metrics counts of the token memory. */
export async function tokenLookups(url: string): Promise<{ hits: number; misses: number }> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const count = (result: string) => {
    const found = text.match(
      new RegExp(`^latchkey_token_memory_lookups_total\\{result="${result}"\\} (\\d+)`, 'm'),
    )
    if (found === null) throw new Error('GET /metrics does not count the lookups of tokens')
    return Number(found[1])
  }
  return { hits: count('hit'), misses: count('miss') }
}
