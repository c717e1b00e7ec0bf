import pg from 'pg'
import { idBytes } from '../../../src/opaque.ts'
import { PASSWORD } from '../../baselines/shared/password.ts'
import { SERVER_CORE } from '../../harness/cores.ts'
import { cpuSeconds, withCleanup } from '../../harness/process.ts'
import { measureRounds, type Round, ratios, roundsOf, type Target } from '../../harness/rounds.ts'
import type { Ratio, Row, RunOptions } from '../../harness/types.ts'
import type { Script } from '../shared/clients.ts'
import {
  type Databases,
  type Defer,
  type DialectName,
  dialects,
  startDatabases,
  titles,
} from '../shared/databases.ts'
import { headersFor, type Node, startNode } from '../shared/node.ts'
import { OPERATOR, type Seed } from '../shared/seed.ts'
import { type Clients, startClients } from '../shared/targets.ts'
import { FLAT, type Part, rowOf, short, sizesUpTo } from './part.ts'

const SIZES = [1_000, 100_000, 1_000_000] as const

/** Of so many accounts each operation is about one after the other, where there are as many. */
const USED = 2_000

/** Clients at a time. A login waits for a hash, and a search by address for a second or more, so few are enough. */
const CLIENTS = 8
const FEWER: Readonly<Partial<Record<string, number>>> = { login: 2, 'search by address': 1 }

const operations = {
  login: async (_node: Node, seed: Seed) =>
    seed.spread(USED, 0).map((n) => ({
      method: 'POST' as const,
      path: '/auth/login',
      body: { email: seed.emailOf(n), password: PASSWORD },
    })),
  refresh: async (_node: Node, seed: Seed) => ({
    refreshTokens: seed.spread(USED, 2).map(seed.refreshTokenOf),
  }),
  'session list': async (node: Node, seed: Seed) => {
    const all = await headersFor(node.secret, seed, seed.spread(USED, 3))
    return all.map((headers) => ({ method: 'GET' as const, path: '/account/sessions', headers }))
  },
  'search by status': (node: Node, seed: Seed) => search(node, seed, ['status=disabled']),
  'search, a page further on': (node: Node, seed: Seed) =>
    search(
      node,
      seed,
      seed.spread(USED).map((n) => `cursor=below_${idText(seed.accountId(n))}`),
    ),
  'search by address': (node: Node, seed: Seed) =>
    search(
      node,
      seed,
      seed.spread(USED).map((n) => `q=${seed.emailOf(n).split('@')[0]}`),
    ),
} satisfies Record<string, (node: Node, seed: Seed) => Promise<Script['requests']>>

type Operation = keyof typeof operations

/** A server on a database of one size. */
interface Sized {
  readonly dialect: DialectName
  readonly size: number
  readonly node: Node
  readonly seed: Seed
  readonly databaseCpu: () => Promise<number>
}

/** A target, and what its database took of the CPU for each operation in each round. */
interface Watched {
  readonly target: Target
  readonly databaseMicroseconds: number[]
}

const title = (operation: Operation, { dialect, size }: Pick<Sized, 'dialect' | 'size'>) =>
  `${operation}, ${titles[dialect]}, ${short(size)}`

/** Operations with few accounts and with many. */
export function measureAccounts(options: RunOptions): Promise<Part> {
  return withCleanup(async (defer) => {
    const databases = await startDatabases(defer)
    const clients = await startClients(defer)
    const sizes = sizesUpTo(SIZES, options)
    const all: Sized[] = []
    for (const size of sizes) {
      for (const dialect of dialects) all.push(await startSized(defer, databases, dialect, size))
    }

    const watched = new Map<string, Watched>()
    const groups: Target[][] = []
    for (const operation of Object.keys(operations) as Operation[]) {
      for (const dialect of dialects) {
        const group: Target[] = []
        for (const sized of all.filter((each) => each.dialect === dialect)) {
          const each = await watch(clients, operation, sized)
          watched.set(each.target.name, each)
          group.push(each.target)
        }
        groups.push(group)
      }
    }
    const measured = await measureRounds(groups, options)
    const rounds = new Map(
      [...watched].map(([name, each]) => [name, withDatabase(roundsOf(measured, name), each)]),
    )

    const rows: Row[] = []
    const found: Ratio[] = []
    const [least, most] = [sizes[0] as number, sizes.at(-1) as number]
    for (const operation of Object.keys(operations) as Operation[]) {
      for (const dialect of dialects) {
        const of = (size: number) => rounds.get(title(operation, { dialect, size })) as readonly Round[]
        for (const size of sizes) {
          rows.push(rowOf(`${operation}, ${titles[dialect]}`, `${short(size)} accounts`, of(size)))
        }
        if (least === most) continue
        found.push({
          name: `${operation} at ${short(most)} / at ${short(least)} ${dialect}`,
          value: ratios(of(most), of(least), 'cpuMicroseconds'),
          goal: FLAT,
        })
      }
    }
    return {
      rows,
      ratios: found,
      notes: [
        'Accounts: filled by SQL in the shape that the service writes (a session, an audit event and a known address for each active one), then analyzed. Operations are about accounts from everywhere in the table. CPU is that of the server on its core and of the connections that it has to PostgreSQL; files and tables are in the memory of the machine.',
        'A search by a part of an address reads every account there is, newest first, until a page is full: it is in no index, and grows with them.',
      ],
    }
  })
}

async function startSized(
  defer: Defer,
  databases: Databases,
  dialect: DialectName,
  size: number,
): Promise<Sized> {
  const { url, seed } = await databases.seeded(dialect, { accounts: size })
  const node = await startNode({ databaseUrl: url, core: SERVER_CORE })
  defer(node.stop)
  if (dialect === 'sqlite') return { dialect, size, node, seed, databaseCpu: async () => 0 }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  defer(() => client.end())
  return { dialect, size, node, seed, databaseCpu: () => connectionsCpu(client) }
}

/** CPU time of the processes that serve a database's connections, in seconds. */
async function connectionsCpu(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>(`
    select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
  `)
  return rows.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0)
}

async function watch(clients: Clients, operation: Operation, sized: Sized): Promise<Watched> {
  const { node, seed, databaseCpu } = sized
  const requests = await operations[operation](node, seed)
  const sentBefore = operation === 'session list'
  const script = { name: title(operation, sized), origin: node.url, requests, sentBefore }
  const playing = await clients.target(script, node.pid, { clients: FEWER[operation] ?? CLIENTS })
  const databaseMicroseconds: number[] = []
  return {
    databaseMicroseconds,
    target: {
      ...playing,
      async load(seconds) {
        const before = await databaseCpu()
        const result = await playing.load(seconds)
        databaseMicroseconds.push((((await databaseCpu()) - before) / result.requests) * 1e6)
        return result
      },
    },
  }
}

// The first round warmed up.
function withDatabase(rounds: readonly Round[], { databaseMicroseconds }: Watched): Round[] {
  const counted = databaseMicroseconds.slice(1)
  return rounds.map((round, n) => ({
    ...round,
    cpuMicroseconds: round.cpuMicroseconds + (counted[n] as number),
  }))
}

async function search(node: Node, seed: Seed, queries: readonly string[]): Promise<Script['requests']> {
  const operator = { roles: ['admin', 'user'], scopes: ['account', 'admin', 'revocations:read'] }
  const [headers = {}] = await headersFor(node.secret, seed, [OPERATOR], operator)
  return queries.map((query) => ({ method: 'GET', path: `/admin/accounts?${query}`, headers }))
}

function idText(id: string): string {
  return idBytes(id).toString('base64url')
}
