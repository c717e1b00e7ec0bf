import { randomUUID } from 'node:crypto'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import { createApp } from '../../src/app.ts'
import { type Config, parseConfig } from '../../src/config.ts'
import { type Database, openDatabase } from '../../src/database/open.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { createKeyring, type Keyring } from '../../src/tokens/keyring.ts'
import { createPostgresDatabase } from './postgres.ts'

/** Both databases: what holds on one has to hold on the other. */
export const databases = ['sqlite', 'postgres'] as const
export type DatabaseName = (typeof databases)[number]

/** A secret for tests. Other secrets for other purposes are made with `latchkey secret`. */
export const SECRET = 'base64:3vQ8nK1xTz0mYw5sBf7hJd2pLr9cGa6eUi4oNq8tXvE='

/** A good enough password. */
export const PASSWORD = 'a long walk by the river'

/** Tests that are not about throttling all come from one address. */
export const UNTHROTTLED = { ATTEMPTS_PER_ADDRESS: '1000000' }

/** argon2id as cheap as the package allows. */
export const CHEAP_ARGON2 = { memoryKib: 1_024, passes: 2, parallelism: 1, concurrency: 2 }

/** As many hashes at once as a test may want, so that on no machine, however busy, it is too much. */
const ROOMY_ARGON2 = { ...CHEAP_ARGON2, concurrency: 100 }

/** A clock that stands still until it is told. It starts at the present, so that other libraries agree with it. */
export interface TestClock {
  (): number
  /** Moves it on, in milliseconds. */
  advance(ms: number): void
}

export function testClock(): TestClock {
  let now = Date.now()
  return Object.assign(() => now, {
    advance(ms: number) {
      now += ms
    },
  })
}

export interface SignedUp {
  readonly email: string
  readonly accountId: string
  readonly sessionId: string
  readonly accessToken: string
  readonly refreshToken: string
}

export interface TestService {
  readonly app: FastifyInstance
  readonly config: Config
  readonly database: Database
  readonly keyring: Keyring
  readonly clock: TestClock
  /** Every line that was logged, as it was written. */
  readonly log: string[]
  /** The security events that were logged, by name. */
  events(name: string): Record<string, unknown>[]
  /** Sends a request, with a JSON body if there is one and a Bearer token if there is one. */
  send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    options?: { body?: unknown; token?: string; headers?: Record<string, string> },
  ): Promise<LightMyRequestResponse>
  /** Signs up somebody new. */
  signUp(email?: string): Promise<SignedUp>
}

/** An empty database of the kind; it goes when the test ends. */
export async function createDatabase(t: Test, kind: DatabaseName): Promise<Database> {
  const onIdleError = () => {}
  if (kind === 'sqlite') {
    const database = await openDatabase({ url: `file:${t.testdir()}/latchkey.db`, poolSize: 10, onIdleError })
    t.teardown(() => database.close())
    return database
  }
  const { url, drop } = await createPostgresDatabase()
  const database = await openDatabase({ url, poolSize: 10, onIdleError })
  t.teardown(async () => {
    await database.close()
    await drop()
  })
  return database
}

/** The whole service, on an empty database unless one is given, with a clock that can be moved and a cheap hasher; it doesn't listen. */
export async function createService(
  t: Test,
  options: { database?: DatabaseName | Database; env?: Record<string, string>; clock?: TestClock } = {},
): Promise<TestService> {
  const log: string[] = []
  const { clock = testClock() } = options
  const config = parseConfig({ JWT_SECRET: SECRET, LOG_LEVEL: 'trace', ...UNTHROTTLED, ...options.env })
  const keyring = await createKeyring(config.secrets ?? [], config)
  const { database: given = 'sqlite' } = options
  const database = typeof given === 'string' ? await createDatabase(t, given) : given
  const app = createApp({
    config,
    database,
    keyring,
    passwords: await createPasswords(ROOMY_ARGON2),
    logger: pino({ level: config.logLevel }, { write: (line: string) => log.push(line) }),
    clock,
  })
  await app.ready()
  t.teardown(() => app.close())

  const send: TestService['send'] = (method, path, { body, token, headers } = {}) =>
    app.inject({
      method,
      url: path,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    })

  return {
    app,
    config,
    database,
    keyring,
    clock,
    log,
    events: (name) => log.map((line) => JSON.parse(line)).filter((line) => line.event === name),
    send,
    async signUp(email = `${randomUUID()}@example.com`) {
      const reply = await send('POST', '/auth/signup', { body: { email, password: PASSWORD } })
      if (reply.statusCode !== 201) throw new Error(`sign-up answered ${reply.statusCode}: ${reply.body}`)
      const { account, tokens } = reply.json()
      const [, payload] = tokens.access_token.split('.')
      return {
        email,
        accountId: account.id,
        sessionId: JSON.parse(Buffer.from(payload, 'base64url').toString()).sid,
        accessToken: tokens.access_token,
        refreshToken: tokens.refresh_token,
      }
    },
  }
}
