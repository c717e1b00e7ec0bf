import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { generateSecret, parseSecrets } from './secrets.ts'

/**
 * The secret that a service outside production makes for itself, once, and keeps.
 *
 * @param path the file that holds it, with mode 0600
 * @returns the secret, and whether it was made just now
 * @throws SecretFault, or an Error with the file system's `code`
 */
export function keepOwnSecret(path: string): { readonly secrets: readonly Buffer[]; readonly made: boolean } {
  // By its whole path: with a relative one Node tries for ever in a folder that was deleted.
  mkdirSync(resolve(dirname(path)), { recursive: true, mode: 0o700 })
  const made = makeFile(path)
  return { secrets: parseSecrets(readFileSync(path, 'utf8').trim()), made }
}

// A link appears with its content or not at all, and only once: of two nodes that start together both read the same.
function makeFile(path: string): boolean {
  const draft = `${path}.${crypto.randomUUID()}`
  try {
    writeFileSync(draft, `${generateSecret()}\n`, { mode: 0o600, flag: 'wx' })
    linkSync(draft, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    return false
  } finally {
    rmSync(draft, { force: true })
  }
  return true
}
