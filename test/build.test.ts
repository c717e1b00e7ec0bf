import { execFile } from 'node:child_process'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { parseSecrets } from '../src/tokens/secrets.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

// As a user's Node: env -i, for tap would have a word in what modules are loaded.
async function node(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('env', ['-i', process.execPath, ...args])
  return stdout
}

t.test('what is published runs without type stripping', async (t) => {
  // Below this folder, so that it finds its packages.
  const folder = t.testdir()
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  await node(tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', join(folder, 'dist'))
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'))

  const latchkey = (command: string) =>
    node('--no-experimental-strip-types', join(folder, 'dist', 'cli.js'), command)
  t.equal(parseSecrets((await latchkey('secret')).trim())[0]?.length, 32)
  t.match(await latchkey('--version'), /^\d+\.\d+\.\d+\n$/)
})
