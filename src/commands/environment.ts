import { existsSync } from 'node:fs'
import type { z } from 'zod'
import { type Config, ConfigError, type ConfigOptions, parseConfig } from '../config.ts'
import { connect } from '../database/connect.ts'
import { type Database, dialectOf } from '../database/open.ts'
import { sqlitePath } from '../database/sqlite.ts'
import { createLogger } from '../logger.ts'
import { StartError } from '../start-error.ts'

/** What stands below the error of who mistyped a command. */
export const HELP_HINT = '(latchkey --help says what there is)'

/**
 * Reads the configuration of a command from the environment and from .env in the current folder.
 *
 * @throws ConfigError
 */
export function readConfig(options: ConfigOptions = {}): Config {
  try {
    process.loadEnvFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ConfigError([`.env can't be read (${(error as NodeJS.ErrnoException).code})`])
    }
  }
  return parseConfig(process.env, options)
}

/** How a command uses the database. */
export interface DatabaseUse {
  /** Whether an SQLite file is made where there is none; it isn't unless it is said. */
  readonly mayMake?: boolean
}

/**
 * Does work on the database, migrated, and closes it afterwards. No secret is needed for that.
 *
 * @throws ConfigError; StartError if there is no database, or it can't be opened
 */
export async function withDatabase(
  work: (database: Database, config: Config) => Promise<void>,
  { mayMake = false }: DatabaseUse = {},
): Promise<void> {
  const config = readConfig({ needsSecret: false })
  // In a folder that isn't the service's, an empty database would only mislead.
  if (!mayMake && dialectOf(config.databaseUrl) === 'sqlite' && !existsSync(sqlitePath(config.databaseUrl))) {
    throw new StartError(`DATABASE_URL: there is no database at ${sqlitePath(config.databaseUrl)}`)
  }
  const database = await connect(config, createLogger({ logLevel: 'silent' }))
  try {
    await work(database, config)
  } finally {
    await database.close()
  }
}

/** @returns what was typed for an option, as its schema reads it @throws StartError */
export function checked<Value>(option: string, schema: z.ZodType<Value>, typed: unknown): Value {
  const { success, data, error } = schema.safeParse(typed)
  if (!success) throw new StartError(`${option} ${error.issues.map(({ message }) => message).join(', ')}`)
  return data
}
