/**
 * Log out on one node: how long until the other one refuses? Both share a database and a secret and nothing else.
 */

import { randomBytes } from 'node:crypto'
import { Client } from 'undici'
import { PASSWORD } from '../baselines/shared/password.ts'
import { withCleanup } from '../harness/process.ts'
import { progress } from '../harness/rounds.ts'
import { percentile } from '../harness/stats.ts'
import type { Row, RunOptions, Suite } from '../harness/types.ts'
import { type Databases, type DialectName, dialects, startDatabases, titles } from './shared/databases.ts'
import { startNode } from './shared/node.ts'

/** Log-outs in a run of five rounds of five seconds, or more; a shorter one has fewer. */
const LOGOUTS = 200
const LOGOUTS_A_SECOND = 8

const ACCOUNTS = 1_000

/** Milliseconds after which the other node is taken not to hear of it at all. */
const TOO_LONG = 10_000

export const run: Suite = (options) =>
  withCleanup(async (defer) => {
    const databases = await startDatabases(defer)
    const count = logoutsOf(options)
    const rows: Row[] = []
    for (const dialect of dialects) rows.push(rowOf(dialect, await measureLogouts(databases, dialect, count)))
    return {
      suite: 'revocation',
      title: 'Log-out on one node, refusal on another',
      columns: ['p50 ms', 'p99 ms', 'longest ms', 'log-outs'],
      rows,
      ratios: [],
      notes: [
        'From the answer to the log-out on one node until the other one, which has just let the token in, answers with its first refusal; it is asked again and again over one connection. Two nodes on one database, on all cores.',
        'PostgreSQL tells nodes of a revocation; on SQLite they look for one every 100 ms.',
      ],
    }
  })

function logoutsOf({ rounds, seconds }: RunOptions): number {
  return Math.min(LOGOUTS, rounds * seconds * LOGOUTS_A_SECOND)
}

/** @returns milliseconds of each log-out */
function measureLogouts(databases: Databases, dialect: DialectName, count: number): Promise<number[]> {
  return withCleanup(async (defer) => {
    const { url: databaseUrl, seed } = await databases.seeded(dialect, { accounts: ACCOUNTS })
    const secret = randomBytes(32)
    const connect = async () => {
      const node = await startNode({ databaseUrl, secret, core: 'all' })
      defer(node.stop)
      const client = new Client(node.url, { pipelining: 1 })
      defer(() => client.destroy())
      return client
    }
    const [here, there] = [await connect(), await connect()]
    const accounts = seed.spread(count)
    const took: number[] = []
    for (let n = 0; n < count; n++) {
      const email = seed.emailOf(accounts[n % accounts.length] as number)
      const headers = { authorization: `Bearer ${await logIn(here, email)}` }
      await expect(200, there, '/me', headers)
      await expect(204, here, '/auth/logout', headers, 'POST')
      took.push(await untilRefused(there, headers))
      progress(`log-out ${n + 1} of ${count}, ${titles[dialect]}`)
    }
    progress('')
    return took
  })
}

async function logIn(client: Client, email: string): Promise<string> {
  const { statusCode, body } = await client.request({
    method: 'POST',
    path: '/auth/login',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD }),
  })
  if (statusCode !== 200) throw new Error(`the login was answered with ${statusCode}: ${await body.text()}`)
  return ((await body.json()) as { access_token: string }).access_token
}

async function untilRefused(client: Client, headers: Readonly<Record<string, string>>): Promise<number> {
  const startedAt = performance.now()
  for (;;) {
    const status = await statusOf(client, '/me', headers)
    const took = performance.now() - startedAt
    if (status === 401) return took
    if (status !== 200 || took > TOO_LONG)
      throw new Error(`GET /me still answered ${status} after ${took} ms`)
  }
}

async function expect(
  expected: number,
  client: Client,
  path: string,
  headers: Readonly<Record<string, string>>,
  method: 'GET' | 'POST' = 'GET',
): Promise<void> {
  const status = await statusOf(client, path, headers, method)
  if (status !== expected) throw new Error(`${method} ${path} was answered with ${status}`)
}

async function statusOf(
  client: Client,
  path: string,
  headers: Readonly<Record<string, string>>,
  method: 'GET' | 'POST' = 'GET',
): Promise<number> {
  const { statusCode, body } = await client.request({ method, path, headers })
  await body.dump()
  return statusCode
}

function rowOf(dialect: DialectName, took: readonly number[]): Row {
  return {
    name: `two nodes on ${titles[dialect]}`,
    values: {
      'p50 ms': percentile(took, 50),
      'p99 ms': percentile(took, 99),
      'longest ms': Math.max(...took),
      'log-outs': took.length,
    },
  }
}
