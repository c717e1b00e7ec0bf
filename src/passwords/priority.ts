import { readdirSync, readFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

// Where Linux lists the threads of a process.
const THREADS = '/proc/self/task'

// What libuv calls the threads of its pool.
const POOL_THREAD = 'libuv-worker'

// So much nicer a thread gets about a tenth of a core that another one wants as well.
const NICER = 10

/**
 * Makes the threads that hash give way to the event loop where both want the same core: a hash then takes longer, and
 * what is answered from memory doesn't. Who has a core to themselves notices nothing. It is for Linux, where a thread has
 * a priority of its own (setpriority(2), "C library/kernel differences"); where that can't be, nothing changes.
 *
 * Call it once the pool has done something: its threads are there from then on. What else it does (files, names of
 * hosts) gives way too, and is little.
 *
 * @returns how many threads there are that give way now
 */
export function giveWay(threads = THREADS): number {
  try {
    const pool = readdirSync(threads).filter(
      (id) => readFileSync(`${threads}/${id}/comm`, 'utf8').trim() === POOL_THREAD,
    )
    for (const id of pool.map(Number)) {
      setPriority(id, Math.min(getPriority(id) + NICER, constants.priority.PRIORITY_LOW))
    }
    return pool.length
  } catch {
    return 0
  }
}
