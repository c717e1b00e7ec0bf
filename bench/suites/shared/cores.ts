import { cpus } from 'node:os'
import { canPin, pinned } from '../../harness/cores.ts'

/**
 * The command line that starts `command` on a core, or on all of them. The runner itself is pinned, so what it starts has
 * to be told.
 */
export function onCores(
  core: number | 'all',
  command: string,
  args: readonly string[],
): [command: string, args: string[]] {
  if (core !== 'all' || !canPin) return pinned(core === 'all' ? undefined : core, command, args)
  return ['taskset', ['-c', `0-${cpus().length - 1}`, command, ...args]]
}
