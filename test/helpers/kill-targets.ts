import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { Listening } from './kill-target.ts'
import { spawnNode } from './process.ts'

const TARGET = fileURLToPath(new URL('./kill-target.ts', import.meta.url))

/** A process that is to be killed. */
export interface Target {
  readonly child: ChildProcess
  readonly urls: Listening
  readonly agent: Agent
}

/** Starts processes that have loaded their code and wait. */
export function createTargets(t: Test, env: Record<string, string>) {
  const warm: ChildProcessWithoutNullStreams[] = []

  function add(): void {
    const child = spawnNode([TARGET], { env })
    child.stderr.pipe(process.stderr)
    t.teardown(() => child.kill('SIGKILL'))
    warm.push(child)
  }

  return {
    add,
    /** Lets the next one open the databases, and waits until it listens. */
    async next(): Promise<Target> {
      for (;;) {
        const child = warm.shift() as ChildProcessWithoutNullStreams
        child.stdin.write('open\n')
        const ended = once(child, 'exit').then(() => undefined)
        const line = await Promise.race([once(child.stdout, 'data'), ended])
        if (line !== undefined) {
          return { child, urls: JSON.parse(String(line)), agent: new Agent({ keepAlive: true }) }
        }
        // A machine that is too busy may keep one from starting, as it may any node: then the next one starts.
        add()
      }
    },
  }
}
