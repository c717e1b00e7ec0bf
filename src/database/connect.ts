import type { Logger } from 'pino'
import type { Config } from '../config.ts'
import { Problem } from '../problem.ts'
import { StartError } from '../start-error.ts'
import { type Database, openDatabase, type Statement } from './open.ts'

/**
 * Opens the database and brings it up to date.
 *
 * @throws StartError if it can't be opened
 */
export async function connect(
  config: Config,
  logger: Logger,
  onStatement?: (statement: Statement) => void,
): Promise<Database> {
  try {
    return await openDatabase({
      url: config.databaseUrl,
      poolSize: config.databasePoolSize,
      onIdleError: (err) => logger.warn({ err }, 'an idle connection to PostgreSQL broke'),
      onStatement,
    })
  } catch (error) {
    const { code, message } = (error instanceof Problem ? error.cause : error) as NodeJS.ErrnoException
    // A host with several addresses, none of which answers, gives an error without a message.
    const reason = [code, message].filter(Boolean).at(-1)
    throw new StartError(`DATABASE_URL: the database can't be opened (${reason})`)
  }
}
