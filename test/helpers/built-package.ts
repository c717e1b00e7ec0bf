import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { emptyFolder } from './process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What stands beside latchkey in the folder: what services that use it have installed, and the types. */
const neighbours = ['express', 'fastify', '@types']

/**
 * Builds the package as it is published.
 *
 * @returns a folder as of a service that has installed it: programs in it can import latchkey/..., express and fastify
 */
export async function builtPackage(t: Test): Promise<string> {
  const folder = emptyFolder(t)
  const packages = join(folder, 'node_modules')
  const latchkey = join(packages, 'latchkey')
  mkdirSync(latchkey, { recursive: true })
  await tsc('-p', join(root, 'tsconfig.build.json'), '--outDir', join(latchkey, 'dist'))
  copyFileSync(join(root, 'package.json'), join(latchkey, 'package.json'))
  symlinkSync(join(root, 'node_modules'), join(latchkey, 'node_modules'))
  for (const name of neighbours) symlinkSync(join(root, 'node_modules', name), join(packages, name))
  return folder
}

/** Runs the TypeScript compiler. @throws an Error whose stdout says what it found */
export async function tsc(...args: readonly string[]): Promise<void> {
  await node(join(root, 'node_modules', 'typescript', 'bin', 'tsc'), ...args)
}

/** Runs Node.js as a user would: env -i, for tap would have a word in what modules are loaded. @returns its output */
export async function node(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('env', ['-i', process.execPath, ...args])
  return stdout
}
