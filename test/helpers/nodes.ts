import type { Test } from 'tap'
import { type Database, type DatabaseOptions, openDatabase } from '../../src/database/open.ts'
import { createPostgresDatabase } from './postgres.ts'
import { emptyFolder } from './process.ts'
import type { DatabaseName } from './service.ts'

/** Where an empty database of the kind is, which several nodes can open. It goes when the test ends. */
export async function emptyDatabase(t: Test, kind: DatabaseName): Promise<string> {
  if (kind === 'sqlite') return `file:${emptyFolder(t)}/latchkey.db`
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  return url
}

/** The database as one node opens it, by connections of its own. It is closed when the test ends. */
export async function openAsNode(
  t: Test,
  url: string,
  options: Partial<DatabaseOptions> = {},
): Promise<Database> {
  const database = await openDatabase({ url, poolSize: 10, onIdleError: () => {}, ...options })
  t.teardown(() => database.close())
  return database
}
