import type { MemoryJob } from '../../baselines/memory.ts'
import { LOAD_CORE } from '../../harness/cores.ts'
import { withCleanup } from '../../harness/process.ts'
import type { Row, RunOptions } from '../../harness/types.ts'
import { startChild } from '../shared/child.ts'
import { type Part, short, sizesUpTo } from './part.ts'

/** As many as are remembered at most. */
const TOKENS = [10_000] as const
const REVOCATIONS = [10_000, 1_000_000] as const

/** What a remembered token and a live revocation take of the heap. */
export function measureMemory(options: RunOptions): Promise<Part> {
  return withCleanup(async (defer) => {
    const child = await startChild<MemoryJob, number>('baselines/memory.ts', { core: LOAD_CORE })
    defer(child.stop)
    const rows: Row[] = []
    for (const count of sizesUpTo(TOKENS, options)) {
      const bytes = await child.run({ what: 'tokens', count })
      rows.push(row('memory of a remembered token', `${short(count)} tokens`, bytes))
    }
    for (const count of sizesUpTo(REVOCATIONS, options)) {
      const bytes = await child.run({ what: 'revocations', count })
      rows.push(row('memory of a live revocation', `${short(count)} revocations`, bytes))
    }
    const notes = [
      'Memory: the heap of a process of its own, after a collection, once. At most 10,000 tokens are remembered.',
    ]
    return { rows, ratios: [], notes }
  })
}

function row(name: string, of: string, bytes: number): Row {
  return { name, values: { of, 'bytes each': bytes } }
}
