/**
 * The two databases as src/database opens them, and nothing above the drivers: the same pragmas, the same pool.
 */

import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import { dialectOf } from '../../../src/database/open.ts'
import { sqlitePath } from '../../../src/database/sqlite.ts'

/** Runs one statement, prepared where the service prepares it. @returns its rows */
export type Run = (parameters: readonly SQLInputValue[]) => Promise<readonly unknown[]>

/** Opens DATABASE_URL for one statement. @param sql with a ? where each parameter stands */
export function openFor(sql: string): Run {
  const url = process.env.DATABASE_URL
  if (url === undefined) throw new Error('DATABASE_URL is missing')
  return dialectOf(url) === 'sqlite' ? onSqlite(sqlitePath(url), sql) : onPostgres(url, sql)
}

function onSqlite(path: string, sql: string): Run {
  const database = new DatabaseSync(path, { timeout: 5, enableForeignKeyConstraints: true })
  database.exec('pragma journal_mode = wal; pragma synchronous = full')
  const statement = database.prepare(sql)
  return async (parameters) => {
    // It never waits, so nothing else in the process would have its turn.
    await setImmediate()
    return statement.all(...parameters)
  }
}

function onPostgres(url: string, sql: string): Run {
  const pool = new pg.Pool({ connectionString: url, max: 10, keepAlive: true })
  let position = 0
  const text = sql.replaceAll('?', () => `$${++position}`)
  return async (parameters) => (await pool.query({ name: 'bare', text, values: [...parameters] })).rows
}
