import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../../harness/stores.ts'
import { type Seed, type SeedOptions, seedDatabase } from './seed.ts'

export const dialects = ['sqlite', 'postgres'] as const
export type DialectName = (typeof dialects)[number]

/** How tables name them. */
export const titles = { sqlite: 'SQLite', postgres: 'PostgreSQL' } as const

/** Puts off what is to be done at the end, as withCleanup() gives it. */
export type Defer = (cleanUp: () => Promise<unknown> | unknown) => void

export interface SeededDatabase {
  readonly url: string
  readonly seed: Seed
}

/** Where databases are made. */
export interface Databases {
  /** A database of its own, filled. */
  seeded(dialect: DialectName, options: SeedOptions): Promise<SeededDatabase>
}

/** A folder for SQLite files and, unless it is not wanted, a PostgreSQL server. Both go at the end. */
export async function startDatabases(defer: Defer, { postgres = true } = {}): Promise<Databases> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  defer(() => rm(folder, { recursive: true, force: true }))
  const server = postgres ? await startPostgres() : undefined
  if (server !== undefined) defer(server.stop)
  let files = 0

  async function create(dialect: DialectName): Promise<string> {
    if (dialect === 'sqlite') return `file:${join(folder, `${++files}.db`)}`
    if (server === undefined) throw new Error('PostgreSQL was not started')
    return server.createDatabase()
  }

  return {
    async seeded(dialect, options) {
      const url = await create(dialect)
      return { url, seed: await seedDatabase(url, options) }
    },
  }
}
