/**
 * Logins: as many in a second as argon2 alone does on the same cores? The servers may use all cores, as a hash does; the
 * clients are few and light.
 */

import type { Argon2Job } from '../baselines/argon2.ts'
import type { Done } from '../baselines/shared/loop.ts'
import { PASSWORD } from '../baselines/shared/password.ts'
import { withCleanup } from '../harness/process.ts'
import { measureRounds, type Rounds, ratios, roundsOf, summary, type Target } from '../harness/rounds.ts'
import { measured } from '../harness/stats.ts'
import type { Row, Suite } from '../harness/types.ts'
import { startChild } from './shared/child.ts'
import { type DialectName, dialects, startDatabases, titles } from './shared/databases.ts'
import { hashesAtATime, headersFor, startNode } from './shared/node.ts'
import { CLIENTS_A_HASH, jobTarget, startClients } from './shared/targets.ts'

const RAW = 'raw argon2'
const ACCOUNTS = 4_000
const LOGGED_IN = 1_000

/** GET /me beside the logins, in a second. */
const RATE = 50

const title = (dialect: DialectName) => `latchkey, ${titles[dialect]}`

export const run: Suite = (options) =>
  withCleanup(async (defer) => {
    const databases = await startDatabases(defer)
    const clients = await startClients(defer)
    const guardedP99: Record<DialectName, number[]> = { sqlite: [], postgres: [] }
    const targets: Target[] = []
    let hashes = 0

    for (const dialect of dialects) {
      const { url, seed } = await databases.seeded(dialect, { accounts: ACCOUNTS })
      const node = await startNode({ databaseUrl: url, core: 'all' })
      defer(node.stop)
      hashes = await hashesAtATime(node)
      const accounts = seed.spread(LOGGED_IN)
      const [headers = {}] = await headersFor(node.secret, seed, accounts.slice(0, 1))
      const requests = accounts.map((n) => ({
        method: 'POST' as const,
        path: '/auth/login',
        body: { email: seed.emailOf(n), password: PASSWORD },
      }))
      const script = { name: title(dialect), origin: node.url, requests }
      const playing = await clients.target(script, node.pid, {
        clients: CLIENTS_A_HASH * hashes,
        beside: { request: { method: 'GET', path: '/me', headers }, rate: RATE },
        onDone: ({ beside }) => guardedP99[dialect].push(beside?.p99 ?? Number.NaN),
      })
      targets.push(playing)
    }
    const raw = await startChild<Argon2Job, Done>('baselines/argon2.ts', { core: 'all' })
    defer(raw.stop)
    targets.push(jobTarget(RAW, raw.pid, (seconds) => raw.run({ seconds, workers: hashes })))

    const rounds = await measureRounds([targets], options)
    return {
      suite: 'login',
      title: 'Logins at saturation',
      columns: ['logins/s', 'CPU ms/login', 'p50 ms', 'p99 ms', 'GET /me p99 ms'],
      rows: [
        // The first round warmed up.
        ...dialects.map((dialect) => rowOf(rounds, title(dialect), guardedP99[dialect].slice(1))),
        rowOf(rounds, RAW),
      ],
      ratios: dialects.map((dialect) => ({
        name: `logins / raw argon2 ${dialect}`,
        value: ratios(roundsOf(rounds, title(dialect)), roundsOf(rounds, RAW), 'rps'),
        goal: { atLeast: 0.95 },
      })),
      notes: [
        `The servers and argon2 may use all cores, and hash ${hashes} at a time.`,
        `${CLIENTS_A_HASH * hashes} clients log in to ${LOGGED_IN} accounts in turn, and GET /me is asked ${RATE} times a second beside them, with one token. Argon2 alone has nothing beside it.`,
      ],
    }
  })

function rowOf(rounds: Rounds, name: string, guardedP99: readonly number[] = []): Row {
  const own = roundsOf(rounds, name)
  return {
    name,
    values: {
      'logins/s': summary(own, 'rps'),
      'CPU ms/login': measured(own.map(({ cpuMicroseconds }) => cpuMicroseconds / 1_000)),
      'p50 ms': summary(own, 'p50'),
      'p99 ms': summary(own, 'p99'),
      ...(guardedP99.length > 0 && { 'GET /me p99 ms': measured(guardedP99) }),
    },
  }
}
