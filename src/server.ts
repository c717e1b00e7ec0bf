import type { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { type Logger, pino } from 'pino'
import { createApp } from './app.ts'
import type { Config } from './config.ts'
import { type Database, dialectOf, openDatabase } from './database/open.ts'
import { sqlitePath } from './database/sqlite.ts'
import { createPasswords } from './passwords/passwords.ts'
import { Problem } from './problem.ts'
import { LEEWAY } from './tokens/claims.ts'
import { createKeyring, type Keyring } from './tokens/keyring.ts'
import { keepOwnSecret } from './tokens/own-secret.ts'
import { followSecretFile } from './tokens/secret-reload.ts'

// Together the process is gone within 10 s of a signal.
const CUT_AFTER = 8_000
const GIVE_UP_AFTER = 9_500

// Milliseconds from the signal to closing. Who has connected is heard, and a load balancer can see it in /readyz.
const PAUSE = 500

// How often, while draining, connections are closed whose last request was answered.
const LOOK_FOR_IDLE_EVERY = 50

/** Why the process can't start or a command can't do its work: one line, for whoever typed it. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/**
 * Runs the service until a signal ends it. It listens once everything it needs is there.
 *
 * SIGTERM or SIGINT stops listening, finishes what was accepted and exits with 0; a second signal exits at once. SIGHUP
 * reads the secrets again, as a change of their file does.
 *
 * @throws StartError if it can't start
 */
export async function serve(config: Config): Promise<void> {
  const logger = createLogger(config)
  const { secrets, path } = secretsOf(config, logger)
  const keyring = await createKeyring(secrets, config)
  reloadSecrets(path, keyring, config, logger)
  const database = await connect(config, logger)
  logger.info({ database: dialectOf(config.databaseUrl) }, 'opened the database')
  const passwords = await createPasswords(config.argon2)
  const app = createApp({ config, database, keyring, passwords, logger, clock: Date.now })

  closeGently(app)
  await app.ready()

  // Before anybody can know that it listens: a signal that comes right then is heard.
  const options = { delay: GIVE_UP_AFTER, logger, skip: ['SIGHUP' as const] }
  const { uninstall } = closeWithGrace(options, async ({ signal, err }) => {
    if (err !== undefined) logger.fatal({ err }, 'an error nobody caught')
    else logger.info({ signal }, 'draining')
    // A client that is too slow by now won't be waited for.
    void setTimeout(CUT_AFTER, undefined, { ref: false }).then(() => app.server.closeAllConnections())
    await app.close()
    await database.close()
    logger.info('drained')
  })

  try {
    await app.listen({ host: config.host, port: config.port })
  } catch (error) {
    uninstall()
    await app.close()
    await database.close()
    throw new StartError(`HOST and PORT: can't listen on ${config.host}:${config.port} (${codeOf(error)})`)
  }
}

// Closing ends what is idle at that moment. This gives who has just connected the time to be heard, and afterwards ends
// what Node leaves open: a connection whose last request was answered meanwhile, and one that never sent a byte.
function closeGently(app: FastifyInstance): void {
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.addHook('preClose', async () => {
    await setTimeout(PAUSE)
    setInterval(() => {
      app.server.closeIdleConnections()
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }, LOOK_FOR_IDLE_EVERY).unref()
  })
}

/** The service's logger: JSON, a line each, on standard output. */
export function createLogger({ logLevel }: Pick<Config, 'logLevel'>): Logger {
  return pino({ level: logLevel, timestamp: pino.stdTimeFunctions.isoTime })
}

/**
 * Opens the database and brings it up to date.
 *
 * @throws StartError if it can't be opened
 */
export async function connect(config: Config, logger: Logger): Promise<Database> {
  try {
    return await openDatabase({
      url: config.databaseUrl,
      poolSize: config.databasePoolSize,
      onIdleError: (err) => logger.warn({ err }, 'an idle connection to PostgreSQL broke'),
    })
  } catch (error) {
    const { code, message } = (error instanceof Problem ? error.cause : error) as NodeJS.ErrnoException
    // A host with several addresses, none of which answers, gives an error without a message.
    const reason = [code, message].filter(Boolean).at(-1)
    throw new StartError(`DATABASE_URL: the database can't be opened (${reason})`)
  }
}

interface Secrets {
  readonly secrets: readonly Buffer[]
  /** The file they came from; undefined where they stand in the environment. */
  readonly path: string | undefined
}

function secretsOf(config: Config, logger: Logger): Secrets {
  if (config.secrets !== undefined) return { secrets: config.secrets, path: config.secretsFile }
  const folder = dialectOf(config.databaseUrl) === 'sqlite' ? dirname(sqlitePath(config.databaseUrl)) : 'data'
  const path = join(folder, 'jwt-secret')
  try {
    const { secrets, made } = keepOwnSecret(path)
    logger.info(
      { path },
      made
        ? 'JWT_SECRET is not set: made a secret and kept it'
        : 'JWT_SECRET is not set: took the kept secret',
    )
    return { secrets, path }
  } catch (error) {
    throw new StartError(
      `JWT_SECRET is not set, and no secret can be kept in ${path} (${codeOf(error) ?? (error as Error).message})`,
    )
  }
}

// Nothing of it keeps the process from ending, should the start fail.
function reloadSecrets(path: string | undefined, keyring: Keyring, config: Config, logger: Logger): void {
  if (path === undefined) {
    const reason = 'JWT_SECRET stands in the environment, which is read at the start alone'
    process.on('SIGHUP', () =>
      logger.info({ event: 'secrets_unchanged', reason, kids: keyring.kids }, 'secrets_unchanged'),
    )
    return
  }
  const tokenLife = config.accessTokenTtl + LEEWAY
  process.on('SIGHUP', followSecretFile({ path, keyring, tokenLife, log: logger, clock: Date.now }))
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
