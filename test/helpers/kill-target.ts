// A process that is to be killed: the whole service twice, on a SQLite file and on PostgreSQL, so that one kill -9 hits
// writes on both. Its hasher is cheap; all else is as `latchkey serve` has it. The code is loaded ahead, and the databases
// are opened when a line comes from standard input: then it prints where it listens.
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { createAccountStore } from '../../src/accounts/store.ts'
import { createAdmin } from '../../src/admin/admin.ts'
import { createAdminStore } from '../../src/admin/store.ts'
import { createApp } from '../../src/app.ts'
import { COMMAND_LINE } from '../../src/audit/events.ts'
import { parseConfig } from '../../src/config.ts'
import { openDatabase } from '../../src/database/open.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { trailAndThrottle } from './parts.ts'
import { poll } from './poll.ts'
import { CHEAP_ARGON2 } from './service.ts'

/** Where a target listens, by its database. */
export interface Listening {
  readonly sqlite: string
  readonly postgres: string
}

const logger = pino({ level: 'silent' }, { write: () => {} })
const cheap = await createPasswords(CHEAP_ARGON2)
// Every log-in writes the hash anew.
const passwords = { ...cheap, needsRehash: () => true }

async function listen(databaseUrl: string): Promise<string> {
  const config = parseConfig({ ...process.env, DATABASE_URL: databaseUrl })
  // A machine that is busy with the start of others may let a connection wait for too long.
  const database = await poll(
    'the database to be opened',
    () => openDatabase({ url: databaseUrl, poolSize: 8, onIdleError: () => {} }).catch(() => undefined),
    20_000,
  )
  const keyring = await createKeyring(config.secrets ?? [], config)
  const clock = Object.assign(() => Date.now(), { advance: () => {} })
  const app = createApp({ config, database, keyring, passwords, logger, clock })

  // Credentials are made on the command line alone: here is what `latchkey accounts credential` calls.
  const admin = createAdmin({
    store: createAdminStore(database.db),
    accounts: createAccountStore(database.db),
    sessions: createSessionStore(database.db),
    roles: config.roles,
    revocations: createRevocations(clock),
    ...trailAndThrottle({ database, config, clock }),
    clock,
  })
  app.post<{ Params: { id: string } }>('/credentials/:id', async ({ params: { id } }, reply) => {
    const operator = { actor: COMMAND_LINE, client: undefined }
    await admin.addCredential(
      id,
      { scopes: ['revocations:read'], label: undefined, ttl: undefined },
      operator,
    )
    return reply.code(204).send()
  })

  await app.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

await once(process.stdin, 'data')
const { SQLITE_URL = '', POSTGRES_URL = '' } = process.env
const [sqlite, postgres] = await Promise.all([listen(SQLITE_URL), listen(POSTGRES_URL)])
process.stdout.write(`${JSON.stringify({ sqlite, postgres } satisfies Listening)}\n`)
// Those that come after it start sooner.
flushCompileCache()
