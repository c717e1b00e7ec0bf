import type { Test } from 'tap'
import { emptyFolder, startCli } from './process.ts'
import { PASSWORD } from './service.ts'

/** What came of `latchkey accounts` with its arguments. */
export interface AccountsResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The security events of standard error. */
  readonly events: readonly Record<string, unknown>[]
}

/** `latchkey accounts` as an operator types it, each time in the same folder. */
export function accountsCommand(
  t: Test,
  {
    folder = emptyFolder(t),
    env = {},
    password = PASSWORD,
  }: { folder?: string; env?: Record<string, string>; password?: string } = {},
) {
  async function run(...args: readonly string[]): Promise<AccountsResult> {
    const cli = startCli(t, ['accounts', ...args], { folder, env, input: `${password}\n` })
    // Many of them may run at once.
    const { code } = await cli.ended(60_000)
    const events = cli
      .stderr()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
    return { code, stdout: cli.stdout(), stderr: cli.stderr(), events }
  }

  return {
    folder,
    run,
    /** Makes the account of a person. @returns its id */
    async create(email: string, ...args: readonly string[]): Promise<string> {
      const { code, stdout, stderr } = await run('create', '--email', email, ...args)
      if (code !== 0) throw new Error(stderr)
      return stdout.trim()
    },
    /** Asserts that each is refused with that line, and does nothing else. */
    async isRefused(refusals: readonly (readonly [args: readonly string[], line: string])[]): Promise<void> {
      const results = await Promise.all(refusals.map(([args]) => run(...args)))
      refusals.forEach(([args, line], index) => {
        const { code, stdout, stderr } = results[index] as AccountsResult
        // Who mistyped is told where to look.
        const hint = line.startsWith('error:') ? '(latchkey --help says what there is)\n' : ''
        const expected = { code: 1, stdout: '', stderr: `${line}\n${hint}` }
        t.strictSame({ code, stdout, stderr }, expected, args.join(' '))
      })
    },
  }
}
