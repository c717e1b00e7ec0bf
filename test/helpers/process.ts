import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { poll } from './poll.ts'
import { UNTHROTTLED } from './service.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const CLI = join(root, 'src', 'cli.ts')
const { PATH = '' } = process.env

/** Whether what runs is counted into the coverage. Tap sees to that in every process that is started, but by `env -i`. */
const COVERED = process.env.TAP_DISABLE_COVERAGE !== '1'

/**
 * Starts Node.js with PATH, these variables and no others. It isn't counted into the coverage, which takes more than half of
 * a process's start, and what it has compiled is kept for the next one.
 */
export function spawnNode(
  args: readonly string[],
  { env = {}, cwd }: { env?: Readonly<Record<string, string>>; cwd?: string } = {},
): ChildProcessWithoutNullStreams {
  const cache = join(root, 'node_modules', '.cache', 'latchkey-tests')
  const variables = Object.entries({ PATH, NODE_COMPILE_CACHE: cache, ...env })
  return spawn('env', ['-i', ...variables.map((each) => each.join('=')), process.execPath, ...args], { cwd })
}

/** Arguments of `env` with which npm runs as a user would run it: tap would have a word in what modules are loaded. */
export const npm = (...args: readonly string[]) => ['-u', 'NODE_OPTIONS', 'npm', ...args]

/** A `latchkey` command as a process of its own, in an empty folder. */
export interface CliProcess {
  readonly child: ChildProcess
  readonly folder: string
  stdout(): string
  stderr(): string
  /** Waits for its end. */
  ended(deadline?: number): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** A `latchkey serve` that listens. */
export interface ServerProcess extends CliProcess {
  readonly url: string
}

export interface CliOptions {
  readonly env?: Record<string, string>
  /** What it reads from standard input. */
  readonly input?: string
  /** The folder it runs in; an empty one unless it is given. */
  readonly folder?: string
}

/** Starts `latchkey` with the arguments. It is killed when the test ends. Nothing of this process's environment but PATH reaches it. */
export function startCli(
  t: Test,
  args: readonly string[],
  { env = {}, input, folder = emptyFolder(t) }: CliOptions = {},
): CliProcess {
  const child = COVERED
    ? spawn(process.execPath, [CLI, ...args], { cwd: folder, env: { PATH, ...env } })
    : spawnNode([CLI, ...args], { cwd: folder, env })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  child.stdin.end(input)
  t.teardown(() => child.kill('SIGKILL'))
  return {
    child,
    folder,
    stdout: () => stdout,
    stderr: () => stderr,
    ended: (deadline = 30_000) =>
      poll(
        `the end of latchkey ${args.join(' ')}`,
        () =>
          (child.exitCode !== null || child.signalCode !== null) && {
            code: child.exitCode,
            signal: child.signalCode,
          },
        deadline,
      ),
  }
}

/** Starts `latchkey serve` on a free port and waits until it listens. */
export async function startServer(t: Test, options: CliOptions = {}): Promise<ServerProcess> {
  const cli = startCli(t, ['serve'], { ...options, env: { PORT: '0', ...UNTHROTTLED, ...options.env } })
  const listening = () => {
    if (cli.child.exitCode !== null) throw new Error(`the server ended: ${cli.stdout()}${cli.stderr()}`)
    return /Server listening at (http:[^"]+)/.exec(cli.stdout())?.[1]
  }
  const url = await poll('the server to listen', listening, 30_000)
  return { ...cli, url }
}

export function emptyFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-test-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
