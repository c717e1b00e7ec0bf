import { SERVER_CORE } from '../../harness/cores.ts'
import { withCleanup } from '../../harness/process.ts'
import { measureRounds, ratios, roundsOf, type Target, target } from '../../harness/rounds.ts'
import type { Ratio, Row, RunOptions } from '../../harness/types.ts'
import { type Databases, type Defer, startDatabases } from '../shared/databases.ts'
import { headersFor, type Node, startNode, type TokenWish } from '../shared/node.ts'
import type { Seed } from '../shared/seed.ts'
import { FLAT, type Part, rowOf, short } from './part.ts'

const REVOCATIONS = [0, 10_000, 1_000_000] as const
const ACCOUNTS = 1_000

/** So many that each is forgotten before its turn comes again: ten thousand are remembered. */
const NEW_TOKENS = 40_000

/** Tokens up to the largest that is minted, of 2 KiB. */
const wishes: readonly TokenWish[] = [
  {},
  { roles: names('role', 8), scopes: names('scope', 8) },
  { roles: names('role', 24), scopes: names('scope', 24) },
  { roles: names('role', 36), scopes: names('scope', 36) },
]

const hot = (revocations: number) => `GET /me, hot token, ${short(revocations)}`
const fresh = (revocations: number) => `GET /me, every token new, ${short(revocations)}`

/** The guard with few live revocations and with many, and with small tokens and large ones. */
export function measureGuard(options: RunOptions): Promise<Part> {
  return withCleanup(async (defer) => {
    const databases = await startDatabases(defer, { postgres: false })
    const counts = REVOCATIONS.filter((count) => count <= options.largest)
    const groups: { readonly hot: Target[]; readonly fresh: Target[] } = { hot: [], fresh: [] }
    for (const revocations of counts) {
      const { url, seed } = await databases.seeded('sqlite', { accounts: ACCOUNTS, revocations })
      const node = await startNodeWith(defer, url, revocations)
      groups.hot.push(target(hot(revocations), node.pid, await meOf(node, seed, 1)))
      groups.fresh.push(target(fresh(revocations), node.pid, await meOf(node, seed, NEW_TOKENS)))
    }
    const sized = await sizedTargets(defer, databases)

    const rounds = await measureRounds([groups.hot, groups.fresh, sized], options)
    const rows: Row[] = [hot, fresh].flatMap((title) =>
      counts.map((count) =>
        rowOf(
          title === hot ? 'GET /me, hot token' : 'GET /me, every token new',
          `${short(count)} live revocations`,
          roundsOf(rounds, title(count)),
        ),
      ),
    )
    rows.push(...sized.map(({ name }) => rowOf('GET /me, every token new', name, roundsOf(rounds, name))))

    const [most, largest, smallest] = [counts.at(-1) as number, sized.at(-1)?.name, sized[0]?.name]
    const found: Ratio[] = []
    for (const [name, title] of [
      ['hot token', hot],
      ['every token new', fresh],
    ] as const) {
      if (most === 0) continue
      found.push({
        name: `GET /me, ${name}, at ${short(most)} / at 0 revocations`,
        value: ratios(roundsOf(rounds, title(most)), roundsOf(rounds, title(0)), 'cpuMicroseconds'),
        goal: FLAT,
      })
    }
    found.push({
      name: 'GET /me, every token new, largest token / smallest',
      value: ratios(roundsOf(rounds, String(largest)), roundsOf(rounds, String(smallest)), 'cpuMicroseconds'),
    })
    return {
      rows,
      ratios: found,
      notes: [
        `Every token new: ${short(NEW_TOKENS)} in turn, of which each is forgotten before it comes again. Larger tokens carry more roles and scopes, and GET /me answers with all of them.`,
      ],
    }
  })
}

async function startNodeWith(defer: Defer, databaseUrl: string, revocations: number): Promise<Node> {
  const node = await startNode({ databaseUrl, core: SERVER_CORE })
  defer(node.stop)
  const text = await (await fetch(`${node.url}/metrics`)).text()
  const live = Number(/^latchkey_revocations_live (\S+)/m.exec(text)?.[1])
  if (live !== revocations) throw new Error(`${live} revocations are live in place of ${revocations}`)
  return node
}

async function meOf(node: Node, seed: Seed, count: number, wish?: TokenWish) {
  const accounts = seed.spread(ACCOUNTS)
  const owners = Array.from({ length: count }, (_, index) => accounts[index % accounts.length] as number)
  const all = await headersFor(node.secret, seed, owners, wish)
  return { url: node.url, requests: all.map((headers) => ({ path: '/me', headers })) }
}

// By a node of their own, so that those with revocations and the one without do as much as each other.
async function sizedTargets(defer: Defer, databases: Databases): Promise<Target[]> {
  const { url, seed } = await databases.seeded('sqlite', { accounts: ACCOUNTS })
  const node = await startNodeWith(defer, url, 0)
  const targets: Target[] = []
  for (const wish of wishes) {
    const me = await meOf(node, seed, NEW_TOKENS, wish)
    const size = (me.requests[0]?.headers.authorization.length ?? 0) - 'Bearer '.length
    targets.push(target(`tokens of ${size} bytes`, node.pid, me))
  }
  return targets
}

function names(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-number-${index}`)
}
