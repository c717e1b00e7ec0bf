import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

/**
 * Changes a file that holds secrets, whole or not at all: readers see the old content or the new one, and what was
 * written outlives a power failure. A link is followed; owner and mode stay.
 *
 * @param change makes the new content out of the old one; what it throws leaves the file as it is
 * @returns what `change` returned
 * @throws an Error with the file system's `code`: EEXIST where somebody else is changing the file right now
 */
export function changeSecretFile<Change extends { readonly text: string }>(
  path: string,
  change: (text: string) => Change,
): Change {
  const target = realpathSync(path)
  const draft = `${target}.rotating`
  // Whoever makes the draft has the turn: of two who change the file at once, neither loses what the other wrote.
  const file = openSync(draft, 'wx', 0o600)
  let changed: Change
  try {
    changed = change(readFileSync(target, 'utf8'))
    writeFileSync(file, changed.text)
    const { uid, gid, mode } = statSync(target)
    fchownSync(file, uid, gid)
    fchmodSync(file, mode)
    fsyncSync(file)
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft)
    throw error
  } finally {
    closeSync(file)
  }
  syncFolder(dirname(target))
  return changed
}

// The new name is kept only once its folder is.
function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
