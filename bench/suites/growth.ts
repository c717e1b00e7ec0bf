/** What stays as it is, however much there is of it: accounts, revocations, tokens. */

import type { Suite, SuiteResult } from '../harness/types.ts'
import { measureAccounts } from './growth/accounts.ts'
import { measureGuard } from './growth/guard.ts'
import { measureMemory } from './growth/memory.ts'
import { measureWorkers } from './growth/workers.ts'

/** Much is measured here, so each gets a part of the time. */
const SHARE = 5

export const run: Suite = async (given): Promise<SuiteResult> => {
  const options = { ...given, seconds: Math.max(1, Math.round(given.seconds / SHARE)) }
  const parts = [
    await measureAccounts(options),
    await measureGuard(options),
    await measureMemory(options),
    await measureWorkers(options),
  ]
  return {
    suite: 'growth',
    title: 'Growth',
    columns: ['of', 'CPU µs each', 'per second', 'p50 ms', 'bytes each'],
    rows: parts.flatMap(({ rows }) => rows),
    ratios: parts.flatMap(({ ratios }) => ratios),
    notes: [`A round is ${options.seconds} s of load for each line.`, ...parts.flatMap(({ notes }) => notes)],
  }
}
