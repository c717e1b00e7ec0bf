import type { Done } from '../../baselines/shared/loop.ts'
import { LOAD_CORE } from '../../harness/cores.ts'
import type { Target } from '../../harness/rounds.ts'
import { type Child, startChild } from './child.ts'
import type { Beside, ClientsDone, ClientsJob, Script } from './clients.ts'
import type { Defer } from './databases.ts'

/** A target whose load is a job of another process. */
export function jobTarget(name: string, pid: number, job: (seconds: number) => Promise<Done>): Target {
  return {
    name,
    pid,
    async load(seconds) {
      const { count, seconds: took, p50, p99 } = await job(seconds)
      return { requests: count, seconds: took, refused: 0, p50, p99, next: 0 }
    },
  }
}

/** As many clients that log in or sign up keep a thread that hashes busy, and are too few for any to be refused. */
export const CLIENTS_A_HASH = 2

export interface PlayOptions {
  readonly clients: number
  readonly beside?: Beside
  /** Told of what came of each round, the one that warms up included. */
  readonly onDone?: (done: ClientsDone) => void
}

/** The process that plays clients. */
export interface Clients {
  /** A target that plays a script, named as it is. */
  target(script: Script, pid: number, options: PlayOptions): Promise<Target>
}

/** Starts the process that plays clients, on the core of the load. */
export async function startClients(defer: Defer): Promise<Clients> {
  const child: Child<Script | ClientsJob, ClientsDone> = await startChild('suites/shared/clients.ts', {
    core: LOAD_CORE,
  })
  defer(child.stop)
  return {
    async target(script, pid, { clients, beside, onDone = () => {} }) {
      await child.run(script)
      return jobTarget(script.name, pid, async (seconds) => {
        const done = await child.run({ script: script.name, clients, seconds, ...(beside && { beside }) })
        onDone(done)
        return done
      })
    },
  }
}
