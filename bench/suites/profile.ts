/**
 * Where the time goes: what V8 saw on the stack of the main thread under load, as flame graphs, and what of it is
 * Latchkey's own.
 */

import { PASSWORD } from '../baselines/shared/password.ts'
import { flameGraph } from '../harness/flame-graph.ts'
import { framesOf, kinds, selfTimes } from '../harness/frames.ts'
import { freePort, withCleanup } from '../harness/process.ts'
import { profile } from '../harness/profiler.ts'
import { describeMachine } from '../harness/results.ts'
import type { Target } from '../harness/rounds.ts'
import { target } from '../harness/rounds.ts'
import type { Row, Suite } from '../harness/types.ts'
import { dialects, startDatabases, titles } from './shared/databases.ts'
import { headersFor, startNode } from './shared/node.ts'
import { startClients } from './shared/targets.ts'

const ACCOUNTS = 41_000
/** So many that each is forgotten before its turn comes again: ten thousand are remembered. */
const NEW_TOKENS = 40_000
const CLIENTS = 32
/** Of Latchkey's own functions those are named that take so much of the time by themselves. */
const NAMED_FROM = 0.02

export const run: Suite = ({ seconds }) =>
  withCleanup(async (defer) => {
    const databases = await startDatabases(defer)
    const clients = await startClients(defer)
    const rows: Row[] = []
    const drawings: Record<string, string> = {}
    const { cpu, node: version } = describeMachine()

    for (const dialect of dialects) {
      const { url: databaseUrl, seed } = await databases.seeded(dialect, { accounts: ACCOUNTS })
      const port = await freePort()
      // Hashes would else take the core from the thread that is looked at.
      const flags = [`--inspect=127.0.0.1:${port}`]
      const node = await startNode({ databaseUrl, core: 'all', flags })
      defer(node.stop)

      const me = async (count: number, name: string) => {
        const all = await headersFor(node.secret, seed, seed.spread(count))
        const requests = all.map((headers) => ({ path: '/me', headers }))
        return target(name, node.pid, { url: node.url, requests })
      }
      const play = (
        name: string,
        requests: Parameters<typeof clients.target>[0]['requests'],
        count = CLIENTS,
      ) =>
        clients.target({ name: `${name}, ${titles[dialect]}`, origin: node.url, requests }, node.pid, {
          clients: count,
        })
      const refreshTokens = seed.spread(3_200).map(seed.refreshTokenOf)
      const logins = seed.spread(1_000, 1).map((n) => ({
        method: 'POST' as const,
        path: '/auth/login',
        body: { email: seed.emailOf(n), password: PASSWORD },
      }))
      const targets: Target[] = [
        // The guard knows no database: once is enough.
        ...(dialect === 'sqlite'
          ? [await me(1, 'GET /me, hot token'), await me(NEW_TOKENS, 'GET /me, every token new')]
          : []),
        await play('refresh', { refreshTokens }),
        await play('login', logins, 1),
      ]

      for (const { name, load } of targets) {
        await load(1)
        const found = framesOf(await profile(port, () => load(seconds)))
        const times = selfTimes(found)
        const share = (self: number) => (self / found.time) * 100
        for (const kind of kinds) {
          const own = times.filter((each) => each.kind === kind)
          rows.push({
            name: `${name}: ${kind}`,
            values: { 'self %': share(own.reduce((sum, { self }) => sum + self, 0)) },
          })
        }
        for (const { name: own, kind, self } of times) {
          if (kind !== 'Latchkey' || self < NAMED_FROM * found.time) continue
          rows.push({ name: `${name}: ${own}`, values: { 'self %': share(self) } })
        }
        drawings[`flame/${fileOf(name)}.svg`] = flameGraph(found, {
          title: `${name}: where the main thread's time goes`,
          caption: `${cpu}, Node.js ${version}, ${new Date().toISOString().slice(0, 10)}`,
        })
      }
    }
    return {
      suite: 'profile',
      title: "Where the main thread's time goes, without what it waited",
      columns: ['self %'],
      rows,
      ratios: [],
      notes: [
        `Functions of Latchkey's own are named from ${NAMED_FROM * 100} % on. The hashes of a login are made by other threads, and database writes of SQLite on this one. The flame graphs are in bench/flame/.`,
      ],
      drawings,
    }
  })

function fileOf(name: string): string {
  return name
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, '-')
    .replace(/^get-/, '')
}
