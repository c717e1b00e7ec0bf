import { type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/**
 * The service's logger: JSON, a line each, on standard output.
 *
 * @param mixin what each line carries besides
 */
export function createLogger({ logLevel }: Pick<Config, 'logLevel'>, mixin?: () => object): Logger {
  return pino({ level: logLevel, timestamp: pino.stdTimeFunctions.isoTime, ...(mixin && { mixin }) })
}
