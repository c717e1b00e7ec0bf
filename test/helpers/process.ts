import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { poll } from './poll.ts'
import { UNTHROTTLED } from './service.ts'

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

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
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: folder,
    // NODE_OPTIONS carries tap's coverage into the process.
    env: { ...pick(process.env, /^(PATH|NODE_OPTIONS|NODE_V8_COVERAGE|_?TAP.*)$/), ...env },
  })
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

function pick(env: NodeJS.ProcessEnv, names: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => names.test(name))) as Record<
    string,
    string
  >
}
