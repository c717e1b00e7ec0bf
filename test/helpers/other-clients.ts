import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { poll } from './poll.ts'
import { npm } from './process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const UNFINISHED = 'unfinished-'
// How long an installation takes at most, in milliseconds.
const AT_MOST = 60_000
const manifests = ['package.json', 'package-lock.json']

/**
 * Installs what test/clients/package.json names, once for each state of it. Several processes may want it at once: who
 * comes second waits. Where two are first, each installs in a folder of its own, and one of them gets the name.
 *
 * @returns the folder whose node_modules has it
 */
export async function otherClients(): Promise<string> {
  const sources = manifests.map((name) => join(root, 'test', 'clients', name))
  const hash = createHash('sha256')
  for (const source of sources) hash.update(readFileSync(source))
  const cache = join(root, 'node_modules', '.cache', 'latchkey-clients')
  const folder = join(cache, hash.digest('hex').slice(0, 16))
  if (existsSync(folder)) return folder

  mkdirSync(cache, { recursive: true })
  await poll(
    'another process to install it',
    () => existsSync(folder) || !isBeingInstalled(cache),
    2 * AT_MOST,
  )
  if (existsSync(folder)) return folder

  const own = mkdtempSync(join(cache, UNFINISHED))
  try {
    for (const [index, name] of manifests.entries()) copyFileSync(sources[index] as string, join(own, name))
    const args = npm('ci', '--prefix', own, '--ignore-scripts', '--no-audit', '--no-fund')
    await promisify(execFile)('env', args)
    renameSync(own, folder)
  } catch (error) {
    if (!existsSync(folder)) throw error
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
  return folder
}

// Whether somebody is at it: who was killed meanwhile is not waited for.
function isBeingInstalled(cache: string): boolean {
  return readdirSync(cache)
    .filter((name) => name.startsWith(UNFINISHED))
    .some((name) => {
      const begun = statSync(join(cache, name), { throwIfNoEntry: false })?.birthtimeMs ?? 0
      return Date.now() - begun < AT_MOST
    })
}

/**
 * Runs a program of one of those packages, as a user would in a folder.
 *
 * @returns what it printed
 * @throws an Error that has it as stdout, where the program says that something failed
 */
export async function runOther(file: string, args: readonly string[], cwd: string): Promise<string> {
  const program = join(await otherClients(), 'node_modules', file)
  const env = ['-i', process.execPath, program, ...args]
  const { stdout } = await promisify(execFile)('env', env, { cwd, maxBuffer: 2 ** 24 })
  return stdout
}
