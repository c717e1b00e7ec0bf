import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, isAbsolute, join } from 'node:path'
import { createInterface } from 'node:readline'
import { pinned } from './cores.ts'
import { family } from './proc.ts'

export { cpuSeconds, rssMib } from './proc.ts'

/** Milliseconds that a process has to get ready. */
export const READY_WITHIN = 60_000

/** Milliseconds that a process has to end after SIGTERM. */
const END_WITHIN = 10_000

/** What is kept of what a process says, to tell why it failed. */
const TAIL = 4_000

export interface StartOptions {
  readonly args?: readonly string[]
  /** Added to the environment of the runner. */
  readonly env?: Readonly<Record<string, string>>
  /** Which core it is pinned to; none unless it is given. */
  readonly core?: number | undefined
  readonly cwd?: string
}

/** A child process of the runner's. It never outlives the runner. */
export interface Started {
  readonly pid: number
  /**
   * The next line of its standard output that `wanted` takes.
   * @param busy milliseconds that it may work before the deadline begins
   * @throws an Error if it ends or is late
   */
  line(wanted?: (line: string) => boolean, busy?: number): Promise<string>
  /**
   * Looks every few milliseconds until `check` neither throws nor returns false.
   * @throws an Error if the process ends or is late
   */
  ready(check: () => Promise<boolean>): Promise<void>
  /** Sends SIGTERM, and SIGKILL to what is still there after ten seconds. */
  stop(): Promise<void>
  /** Its exit code, once it has ended; null after a signal. What it wrote to stderr last is in `tail()`. */
  readonly ended: Promise<number | null>
  tail(): string
}

const running = new Set<ChildProcess>()
const lastSteps = new Set<() => void>()

/**
 * A folder for this run, removed when it ends. Whatever makes a temporary folder makes it in here, in this process and in
 * those that it starts.
 */
const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
// PostgreSQL runs as somebody else, where the runner is root.
chmodSync(folder, 0o755)
process.env.TMPDIR = folder

// Also on an error that nobody caught and on process.exit().
process.once('exit', () => {
  for (const { pid } of running) if (pid !== undefined) killFamily(pid)
  for (const step of lastSteps) step()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 1))
}

/** Has something done, at once, when the runner ends. @returns what takes that back */
export function atExit(step: () => void): () => void {
  lastSteps.add(step)
  return () => void lastSteps.delete(step)
}

/** Starts a process, pinned to a core. It is killed when the runner ends, however it ends. */
export function start(command: string, options: StartOptions = {}): Started {
  const { args = [], env = {}, core, cwd } = options
  const child = spawn(...pinned(core, command, args), {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd !== undefined && { cwd }),
  })
  running.add(child)

  let tail = ''
  const keep = (text: string) => {
    tail = (tail + text).slice(-TAIL)
  }
  child.stderr.setEncoding('utf8').on('data', keep)
  const lines = createInterface({ input: child.stdout })
  const ended = new Promise<number | null>((resolve) => {
    child.once('error', (error) => {
      keep(error.message)
      running.delete(child)
      resolve(null)
    })
    child.once('exit', (code) => {
      running.delete(child)
      resolve(code)
    })
  })

  // Until `done` settles, or the process ends, or it is late.
  async function inTime<Result>(done: Promise<Result>, cancel: AbortController, busy = 0): Promise<Result> {
    const { signal } = cancel
    const deadline = READY_WITHIN + busy
    const late = setTimeout(() => cancel.abort(failure(`is not ready after ${deadline} ms`)), deadline)
    const aborted = once(signal, 'abort').then(() => Promise.reject(signal.reason))
    void ended.then((code) => cancel.abort(failure(`ended with ${code}`)))
    try {
      return await Promise.race([done, aborted])
    } finally {
      clearTimeout(late)
      cancel.abort()
    }
  }

  function failure(what: string): Error {
    const name = [command, ...args].map((word) => (isAbsolute(word) ? basename(word) : word)).join(' ')
    return new Error(`${name} ${what}${tail === '' ? '' : `:\n${tail}`}`)
  }

  return {
    // Where the command isn't there, `ended` says so.
    pid: child.pid ?? 0,
    ended,
    tail: () => tail,
    line(wanted = () => true, busy = 0) {
      const cancel = new AbortController()
      const found = new Promise<string>((resolve) => {
        const look = (line: string) => {
          if (wanted(line)) resolve(line)
          else keep(`${line}\n`)
        }
        lines.on('line', look)
        cancel.signal.addEventListener('abort', () => lines.off('line', look))
      })
      return inTime(found, cancel, busy)
    },
    ready(check) {
      const cancel = new AbortController()
      async function look(): Promise<void> {
        while (!cancel.signal.aborted) {
          if (await check().catch(() => false)) return
          await new Promise((next) => setTimeout(next, 20))
        }
      }
      return inTime(look(), cancel)
    },
    async stop() {
      if (!running.has(child)) return
      const pids = family(child.pid as number)
      child.kill('SIGTERM')
      const late = setTimeout(() => pids.forEach(kill), END_WITHIN)
      await ended
      clearTimeout(late)
    },
  }
}

/** Does something at the end, whether `work` succeeds or not: the last that was put off comes first. */
export async function withCleanup<Result>(
  work: (defer: (cleanUp: () => Promise<unknown> | unknown) => void) => Promise<Result>,
): Promise<Result> {
  const steps: (() => Promise<unknown> | unknown)[] = []
  try {
    return await work((step) => steps.push(step))
  } finally {
    for (const step of steps.reverse()) await step()
  }
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function killFamily(pid: number): void {
  for (const each of family(pid)) kill(each)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
