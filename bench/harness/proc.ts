import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

// proc(5): times are counted in clock ticks, which are 10 ms on every common Linux.
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/**
 * The CPU time of a process so far, in seconds: of all its threads, and of every process that it started, also of those
 * that have ended and were waited for.
 */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const each of family(pid)) {
    // utime, stime, cutime and cstime (proc_pid_stat(5), fields 14 to 17).
    const times = statFields(each)?.slice(11, 15) ?? []
    for (const time of times) ticks += Number(time)
  }
  return ticks / TICKS_PER_SECOND
}

/** What a process, and every process that it started, holds of the memory, in MiB. Shared pages count in each. */
export function rssMib(pid: number): number {
  let kib = 0
  for (const each of family(pid)) {
    const line = readIfAlive(`/proc/${each}/status`)?.match(/^VmRSS:\s+(\d+) kB$/m)
    kib += Number(line?.[1] ?? 0)
  }
  return kib / 1_024
}

/** A process and all of its descendants that live. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? statFields(Number(name))?.[1] : undefined
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  const found = [pid]
  for (const parent of found) {
    for (const [child, of] of parents) if (of === parent) found.push(child)
  }
  return found
}

/** Whether a process runs: one that has ended and wasn't waited for doesn't. */
export function isAlive(pid: number): boolean {
  const state = statFields(pid)?.[0]
  return state !== undefined && state !== 'Z'
}

// The fields of /proc/<pid>/stat from the state on, the third. The name before it may hold spaces and parentheses.
function statFields(pid: number): string[] | undefined {
  const stat = readIfAlive(`/proc/${pid}/stat`)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
}

function readIfAlive(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
