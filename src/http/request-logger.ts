import type { FastifyBaseLogger, FastifyInstance } from 'fastify'

type Options = Parameters<FastifyBaseLogger['child']>[1]
type Line = [fields: unknown, message?: string]

/**
 * Gives each request a logger with its id that is made once something is logged. Most requests log nothing, and a child
 * of pino's costs more than to be let in by a token that is remembered.
 */
export function logLazily(app: FastifyInstance): void {
  app.setChildLoggerFactory((logger, bindings, options) => new RequestLogger(logger, bindings, options))
}

class RequestLogger implements FastifyBaseLogger {
  readonly #parent: FastifyBaseLogger
  readonly #bindings: Record<string, unknown>
  readonly #options: Options
  #made: FastifyBaseLogger | undefined

  constructor(parent: FastifyBaseLogger, bindings: Record<string, unknown>, options: Options) {
    this.#parent = parent
    this.#bindings = bindings
    this.#options = options
  }

  get #logger(): FastifyBaseLogger {
    this.#made ??= this.#parent.child(this.#bindings, this.#options)
    return this.#made
  }

  get level(): string {
    return this.#parent.level
  }

  child(bindings: Record<string, unknown>, options?: Options): FastifyBaseLogger {
    return this.#logger.child(bindings, options)
  }

  fatal(...line: Line): void {
    this.#logger.fatal(...line)
  }

  error(...line: Line): void {
    this.#logger.error(...line)
  }

  warn(...line: Line): void {
    this.#logger.warn(...line)
  }

  info(...line: Line): void {
    this.#logger.info(...line)
  }

  debug(...line: Line): void {
    this.#logger.debug(...line)
  }

  trace(...line: Line): void {
    this.#logger.trace(...line)
  }

  silent(...line: Line): void {
    this.#logger.silent(...line)
  }
}
