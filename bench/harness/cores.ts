import { execFileSync, spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** What is measured runs here alone. */
export const SERVER_CORE = 0

/** Load generators, stores and the runner itself run here. */
export const LOAD_CORE = 1

/** Whether processes can be pinned on this machine: there is taskset (util-linux), and a second core. */
export const canPin = isThere('taskset') && availableParallelism() > LOAD_CORE

/** The command line that starts `command` on one core, or the same command line where nothing can be pinned. */
export function pinned(
  core: number | undefined,
  command: string,
  args: readonly string[],
): [string, string[]] {
  if (core === undefined || !canPin) return [command, [...args]]
  return ['taskset', ['-c', String(core), command, ...args]]
}

/** Moves running processes, with all of their threads, to one core. What they start later follows them. */
export function pin(pids: readonly number[], core: number): void {
  if (!canPin) return
  for (const pid of pids) execFileSync('taskset', ['-a', '-c', '-p', String(core), String(pid)])
}

/** Whether a command is found on the PATH. */
export function isThere(command: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$0"', command], { stdio: 'ignore' }).status === 0
}
