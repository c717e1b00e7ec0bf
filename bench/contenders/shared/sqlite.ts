import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** An SQLite file of one's own, with a write-ahead log as Latchkey has it. It is removed when the process ends. */
export function openDatabase(): DatabaseSync {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => process.exit(0))

  const database = new DatabaseSync(join(folder, 'bench.db'))
  // Nothing is written once the bench runs: what a commit costs does not matter here.
  database.exec('pragma journal_mode = wal; pragma synchronous = normal')
  return database
}
