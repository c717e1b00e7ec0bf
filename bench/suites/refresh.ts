/**
 * Refreshes against the one statement that none can do without, and sign-ups against a hash and an INSERT: what the
 * service adds to its database.
 */

import type { InsertJob } from '../baselines/insert.ts'
import type { Done } from '../baselines/shared/loop.ts'
import type { Rotated, UpdateJob } from '../baselines/update.ts'
import { LOAD_CORE, SERVER_CORE } from '../harness/cores.ts'
import { withCleanup } from '../harness/process.ts'
import { measureRounds, type Rounds, ratios, roundsOf, summary, type Target } from '../harness/rounds.ts'
import type { Ratio, Row, RunOptions, Suite } from '../harness/types.ts'
import { startChild } from './shared/child.ts'
import {
  type Databases,
  type Defer,
  type DialectName,
  dialects,
  startDatabases,
  titles,
} from './shared/databases.ts'
import { hashesAtATime, startNode } from './shared/node.ts'
import { CLIENTS_A_HASH, type Clients, jobTarget, startClients } from './shared/targets.ts'

const ACCOUNTS = 10_000
const SESSIONS = 3_200
const CLIENTS = 32

const name = {
  refresh: (dialect: DialectName) => `latchkey refresh, ${titles[dialect]}`,
  update: (dialect: DialectName) => `bare update, ${titles[dialect]}`,
  signUp: (dialect: DialectName) => `latchkey sign-up, ${titles[dialect]}`,
  insert: (dialect: DialectName) => `argon2 and bare insert, ${titles[dialect]}`,
}

/** What both halves work with. */
interface Tools {
  readonly databases: Databases
  readonly clients: Clients
  readonly options: RunOptions
}

export const run: Suite = (options) =>
  withCleanup(async (defer) => {
    const databases = await startDatabases(defer)
    const clients = await startClients(defer)
    const tools = { databases, clients, options }
    // Servers that hash on all cores, and servers that are pinned, don't run at the same time.
    const refreshes = await withCleanup((deferHalf) => measureRefreshes(deferHalf, tools))
    const signUps = await withCleanup((deferHalf) => measureSignUps(deferHalf, tools))
    return {
      suite: 'refresh',
      title: 'Refreshes and sign-ups',
      columns: ['per second', 'CPU µs each', 'p50 ms', 'p99 ms'],
      rows: [...rowsOf(refreshes), ...rowsOf(signUps)],
      ratios: [
        ...dialects.map(
          (dialect): Ratio => ({
            name: `refresh / bare update ${dialect}`,
            value: ratio(refreshes, name.refresh(dialect), name.update(dialect)),
            goal: { atLeast: 0.6 },
          }),
        ),
        ...dialects.map((dialect) => ({
          name: `sign-up / argon2 and bare insert ${dialect}`,
          value: ratio(signUps, name.signUp(dialect), name.insert(dialect)),
        })),
      ],
      notes: [
        `${CLIENTS} clients refresh ${SESSIONS} sessions of ${ACCOUNTS} in turn, each by its newest token; as many workers do the bare update on as many rows of a table that is as full. Servers and bare updates on core ${SERVER_CORE}, clients and PostgreSQL on core ${LOAD_CORE}; every commit is synced to the disk.`,
        `Sign-ups: on all cores, with ${CLIENTS_A_HASH} clients for each hash that can be made at a time. A sign-up also writes a role, a session, an audit event and the address it came from.`,
      ],
    }
  })

async function measureRefreshes(defer: Defer, { databases, clients, options }: Tools): Promise<Rounds> {
  const targets: Target[][] = []
  for (const dialect of dialects) {
    const own = await databases.seeded(dialect, { accounts: ACCOUNTS })
    const node = await startNode({ databaseUrl: own.url, core: SERVER_CORE })
    defer(node.stop)
    const refreshTokens = own.seed.spread(SESSIONS).map(own.seed.refreshTokenOf)
    const script = { name: name.refresh(dialect), origin: node.url, requests: { refreshTokens } }

    const { url, seed } = await databases.seeded(dialect, { accounts: ACCOUNTS })
    const bare = await startChild<UpdateJob | readonly Rotated[], Done>('baselines/update.ts', {
      core: SERVER_CORE,
      env: { DATABASE_URL: url },
    })
    defer(bare.stop)
    const hash = seed.secretHash.toString('hex')
    await bare.run(seed.spread(SESSIONS).map((n) => ({ id: seed.sessionId(n), hash })))

    targets.push([
      await clients.target(script, node.pid, { clients: CLIENTS }),
      jobTarget(name.update(dialect), bare.pid, (seconds) => bare.run({ seconds, workers: CLIENTS })),
    ])
  }
  return measureRounds(targets, options)
}

async function measureSignUps(defer: Defer, { databases, clients, options }: Tools): Promise<Rounds> {
  const targets: Target[][] = []
  for (const dialect of dialects) {
    const own = await databases.seeded(dialect, { accounts: ACCOUNTS })
    const node = await startNode({ databaseUrl: own.url, core: 'all' })
    defer(node.stop)
    const hashes = await hashesAtATime(node)
    const workers = CLIENTS_A_HASH * hashes
    const script = { name: name.signUp(dialect), origin: node.url, requests: 'sign-ups' as const }

    const { url } = await databases.seeded(dialect, { accounts: ACCOUNTS })
    const bare = await startChild<InsertJob, Done>('baselines/insert.ts', {
      core: 'all',
      env: { DATABASE_URL: url, UV_THREADPOOL_SIZE: String(hashes) },
    })
    defer(bare.stop)

    targets.push([
      await clients.target(script, node.pid, { clients: workers }),
      jobTarget(name.insert(dialect), bare.pid, (seconds) => bare.run({ seconds, workers })),
    ])
  }
  return measureRounds(targets, options)
}

function ratio(rounds: Rounds, one: string, other: string) {
  return ratios(roundsOf(rounds, one), roundsOf(rounds, other), 'rps')
}

function rowsOf(rounds: Rounds): Row[] {
  return [...rounds].map(([each, own]) => ({
    name: each,
    values: {
      'per second': summary(own, 'rps'),
      'CPU µs each': summary(own, 'cpuMicroseconds'),
      'p50 ms': summary(own, 'p50'),
      'p99 ms': summary(own, 'p99'),
    },
  }))
}
