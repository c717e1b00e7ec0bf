import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BENCH = join(ROOT, 'bench')

/** Installs the peers and builds the service, where that isn't done yet or is no longer true. */
export function prepare(): void {
  const lock = changedAt(join(BENCH, 'package-lock.json'))
  if (changedAt(join(BENCH, 'node_modules/.package-lock.json')) < lock) {
    run('npm', ['ci', '--prefix', BENCH, '--no-audit', '--no-fund'])
  }
  if (changedAt(join(ROOT, 'dist/cli.js')) < newestIn(join(ROOT, 'src')))
    run('npm', ['run', '--silent', 'build'])
}

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
}

// Milliseconds since 1970; what isn't there is as old as can be.
function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY
}

function newestIn(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return Math.max(...files.map((file) => changedAt(join(folder, file))))
}
