import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** What is installed. */
export interface Installed {
  /** Of all files together. */
  readonly bytes: number
  readonly packages: number
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>
}

/**
 * What some packages are with all that they need, as they are found on this machine. The same version of a package
 * counts once, however often it is there.
 *
 * @param from the folder from which they are looked up
 */
export function installedHere(names: readonly string[], from: string): Installed {
  const found = new Map<string, number>()
  const visit = (name: string, folder: string) => {
    const path = find(name, folder)
    // An optional one for another platform, or a peer that isn't used.
    if (path === undefined) return
    const manifest = readManifest(path)
    const id = `${manifest.name}@${manifest.version}`
    if (found.has(id)) return
    found.set(id, bytesIn(path))
    for (const needed of neededBy(manifest)) visit(needed, path)
  }
  for (const name of names) visit(name, from)
  return { bytes: [...found.values()].reduce((sum, bytes) => sum + bytes, 0), packages: found.size }
}

/**
 * What `npm ci --omit=dev` installs of a project, in a folder of its own. It asks the registry, or npm's cache.
 *
 * @throws an Error if npm fails
 */
export async function installedByNpm(root: string): Promise<Installed> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  try {
    for (const file of ['package.json', 'package-lock.json', '.npmrc'])
      await cp(join(root, file), join(folder, file))
    // As the image does: argon2 brings its compiled code.
    await promisify(execFile)('npm', ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: folder,
    })
    const modules = join(folder, 'node_modules')
    const lock = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')) as { packages: object }
    return { bytes: bytesIn(modules, true), packages: Object.keys(lock.packages).length }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The packages that a project needs in production, by name. */
export function dependenciesOf(root: string): readonly string[] {
  return Object.keys(readManifest(root).dependencies ?? {})
}

/** @param deep whether packages in the folder count, too */
export function bytesIn(folder: string, deep = false): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isFile()) bytes += statSync(path).size
    else if (entry.isDirectory() && (deep || entry.name !== 'node_modules')) bytes += bytesIn(path, deep)
  }
  return bytes
}

// As Node looks for packages: in the node_modules of every folder on the way up.
function find(name: string, from: string): string | undefined {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name)
    if (existsSync(join(path, 'package.json'))) return path
    if (folder === dirname(folder)) return undefined
  }
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

function neededBy(manifest: Manifest): string[] {
  const { dependencies, optionalDependencies, peerDependencies = {}, peerDependenciesMeta = {} } = manifest
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional)
  return [...Object.keys({ ...dependencies, ...optionalDependencies }), ...peers]
}
