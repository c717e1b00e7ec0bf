import { withCleanup } from '../../harness/process.ts'
import { measureRounds, ratios, roundsOf, type Target, target } from '../../harness/rounds.ts'
import type { RunOptions } from '../../harness/types.ts'
import { startDatabases } from '../shared/databases.ts'
import { headersFor, startNode } from '../shared/node.ts'
import { type Part, rowOf } from './part.ts'

const WORKERS = [1, 2] as const
const title = (workers: number) => `${workers} worker${workers === 1 ? '' : 's'}`

/** The guard by one process and by two, on all cores. */
export function measureWorkers(options: RunOptions): Promise<Part> {
  return withCleanup(async (defer) => {
    const databases = await startDatabases(defer, { postgres: false })
    const targets: Target[] = []
    for (const workers of WORKERS) {
      const { url: databaseUrl, seed } = await databases.seeded('sqlite', { accounts: 1_000 })
      const node = await startNode({ databaseUrl, core: 'all', env: { WORKERS: String(workers) } })
      defer(node.stop)
      const [headers = {}] = await headersFor(node.secret, seed, seed.spread(1))
      const me = { url: node.url, requests: [{ path: '/me', headers }] }
      targets.push(target(title(workers), node.pid, me))
    }
    const rounds = await measureRounds([targets], options)
    const of = (workers: number) => roundsOf(rounds, title(workers))
    return {
      rows: WORKERS.map((workers) => rowOf('GET /me, hot token, on all cores', title(workers), of(workers))),
      ratios: [{ name: '2 workers / 1 worker', value: ratios(of(2), of(1), 'rps') }],
      notes: [
        'Workers: on all cores, one of which the load has to share with them. So two of them show less than two would on cores of their own.',
      ],
    }
  })
}
