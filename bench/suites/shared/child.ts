import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer } from '../../baselines/shared/jobs.ts'
import { productionEnv } from '../../harness/latchkey.ts'
import { onCores } from './cores.ts'

/** A process that does jobs, one after the other. */
export interface Child<Job, Result> {
  readonly pid: number
  /** @throws an Error if the job fails, or the process ends over it */
  run(job: Job): Promise<Result>
  stop(): Promise<void>
}

export interface ChildOptions {
  /** Which core it is pinned to. */
  readonly core: number | 'all'
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Starts a process that does jobs (baselines/shared/jobs.ts). It ends with this one, however that ends.
 *
 * @param file relative to bench/
 */
export async function startChild<Job extends object, Result>(
  file: string,
  { core, env = {} }: ChildOptions,
): Promise<Child<Job, Result>> {
  const path = fileURLToPath(new URL(`../../${file}`, import.meta.url))
  const child = spawn(...onCores(core, process.execPath, [path]), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
    env: { ...process.env, ...productionEnv, ...env },
  })

  async function answer(): Promise<Result> {
    const heard = new AbortController()
    const { signal } = heard
    try {
      const given = await Promise.race([
        once(child, 'message', { signal }).then(([message]) => message as Answer<Result>),
        once(child, 'exit', { signal }).then(() => ({ error: `${file} ended` })),
      ])
      if ('error' in given) throw new Error(given.error)
      return 'result' in given ? given.result : (undefined as Result)
    } finally {
      heard.abort()
    }
  }

  // The first thing that it says is that it is ready.
  await answer()
  return {
    pid: child.pid as number,
    run(job) {
      const answered = answer()
      child.send(job)
      return answered
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}
