import { randomBytes } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKeyring } from '../../../src/tokens/keyring.ts'
import { createMint } from '../../../src/tokens/mint.ts'
import { bearer, productionEnv, productionFlags, ROOT } from '../../harness/latchkey.ts'
import { freePort, start } from '../../harness/process.ts'
import { onCores } from './cores.ts'
import type { Seed } from './seed.ts'

/** A node of Latchkey on a database that was filled before. */
export interface Node {
  readonly url: string
  readonly pid: number
  readonly secret: Buffer
  stop(): Promise<void>
}

export interface NodeOptions {
  readonly databaseUrl: string
  /** Which core it is pinned to. With all of them it hashes on all. */
  readonly core: number | 'all'
  readonly secret?: Buffer
  readonly env?: Readonly<Record<string, string>>
  /** Flags of Node.js's, beside those of `npm start`. */
  readonly flags?: readonly string[]
}

/** Starts the build as for production. It is ready when this resolves. */
export async function startNode(options: NodeOptions): Promise<Node> {
  const { databaseUrl, core, secret = randomBytes(32), env = {}, flags = [] } = options
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const script = [...productionFlags, ...flags, join(ROOT, 'dist/cli.js'), 'serve']
  const [command, args] = onCores(core, process.execPath, script)
  const server = start(command, {
    args,
    env: {
      ...productionEnv,
      JWT_SECRET: `base64:${secret.toString('base64')}`,
      DATABASE_URL: databaseUrl,
      PORT: String(port),
      // All clients come from one address.
      ATTEMPTS_PER_ADDRESS: '1000000',
      ...env,
    },
    // No .env of a developer's is read here.
    cwd: tmpdir(),
  })
  try {
    await server.ready(async () => (await fetch(`${url}/readyz`)).ok)
  } catch (error) {
    await server.stop()
    throw error
  }
  return { url, pid: server.pid, secret, stop: server.stop }
}

/** How many passwords a node hashes at a time, as its metrics say. */
export async function hashesAtATime({ url }: Node): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const found = /^latchkey_argon2_concurrency (\d+)/m.exec(text)
  if (found === null) throw new Error('GET /metrics does not say how many passwords are hashed at a time')
  return Number(found[1])
}

const ISSUER = 'http://localhost:3000'
const AUDIENCE = 'latchkey'
const HOUR = 3_600

/** What a token says beside whom it is for. */
export interface TokenWish {
  readonly roles?: readonly string[]
  readonly scopes?: readonly string[]
}

/** Headers with a token for an hour each, as the service mints it, for sessions of seeded accounts. */
export async function headersFor(
  secret: Buffer,
  seed: Seed,
  accounts: readonly number[],
  { roles = ['user'], scopes = ['account'] }: TokenWish = {},
): Promise<{ readonly authorization: string }[]> {
  const keyring = await createKeyring([secret], { issuer: ISSUER, audience: AUDIENCE })
  const mint = createMint(keyring, { issuer: ISSUER }, HOUR)
  const now = Date.now()
  const sessionExpiresAt = now + 2 * HOUR * 1_000
  return accounts.map((n) => {
    const [accountId, sessionId] = [seed.accountId(n), seed.sessionId(n)]
    return bearer(
      mint({ accountId, sessionId, sessionExpiresAt, roles, scopes, audience: AUDIENCE }, now).token,
    )
  })
}
