import { dirname, join } from 'node:path'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { createApp } from './app.ts'
import type { Config } from './config.ts'
import { connect } from './database/connect.ts'
import { dialectOf } from './database/open.ts'
import { sqlitePath } from './database/sqlite.ts'
import { type Connections, closeGently, closePort, GIVE_UP_AFTER } from './drain.ts'
import { listen } from './listen.ts'
import { createLogger } from './logger.ts'
import { createMetrics } from './metrics/metrics.ts'
import { runtimeMetrics } from './metrics/runtime.ts'
import { createMetricsServer } from './metrics/server.ts'
import { createPasswords } from './passwords/passwords.ts'
import { giveWay } from './passwords/priority.ts'
import { StartError } from './start-error.ts'
import { keepTicksFast } from './ticks.ts'
import { LEEWAY } from './tokens/claims.ts'
import { createKeyring, type Keyring } from './tokens/keyring.ts'
import { keepOwnSecret } from './tokens/own-secret.ts'
import { followSecretFile } from './tokens/secret-reload.ts'
import { startTracing, type Tracing } from './tracing/tracing.ts'

// Milliseconds from the signal in which a collector of traces may take the last of them.
const FLUSH_UNTIL = 9_000

// What a terminal or an init system sends to every process of a group. The supervisor hears it for its workers.
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGUSR2'] as const

/**
 * Runs the service until a signal ends it. It listens once everything it needs is there. With more WORKERS than one
 * this process is the supervisor of others that run the service, or one of those.
 *
 * SIGTERM or SIGINT stops listening, finishes what was accepted and exits with 0; a second signal exits at once. SIGHUP
 * reads the secrets again, as a change of their file does.
 *
 * @throws StartError if it can't start
 */
export async function serve(config: Config): Promise<void> {
  if (config.workers === 1) return serveConnections(config, fromOwnPort)
  // A single process loads nothing of it.
  const { default: cluster } = await import('node:cluster')
  if (cluster.isPrimary) {
    const { supervise } = await import('./workers/supervisor.ts')
    return supervise(config, createLogger(config))
  }
  for (const signal of SIGNALS) process.on(signal, () => {})
  const { fromSupervisor } = await import('./workers/worker.ts')
  const databasePoolSize = Math.max(1, Math.floor(config.databasePoolSize / config.workers))
  try {
    await serveConnections({ ...config, databasePoolSize }, fromSupervisor)
  } catch (error) {
    // The channel would keep it alive.
    cluster.worker?.disconnect()
    throw error
  }
}

/** What is served, and what can be set off in it. */
interface Serving {
  readonly app: FastifyInstance
  readonly config: Config
  /** Finishes what was accepted, and ends the process. */
  readonly drain: () => void
  readonly reloadSecrets: () => void
}

async function serveConnections(
  config: Config,
  connectionsOf: (serving: Serving) => Connections,
): Promise<void> {
  const tracing = await traces(config)
  const logger = createLogger(config, tracing?.ids)
  const { secrets, path } = secretsOf(config, logger)
  const keyring = await createKeyring(secrets, config)
  const reloadSecrets = createReload(path, keyring, config, logger)
  process.on('SIGHUP', reloadSecrets)
  const metrics = createMetrics(config.workers === 1 ? undefined : process)
  runtimeMetrics(metrics.registry)
  const database = await connect(config, logger, (statement) => {
    metrics.onStatement(statement)
    tracing?.onStatement(statement)
  })
  logger.info({ database: dialectOf(config.databaseUrl) }, 'opened the database')
  const passwords = await createPasswords(config.argon2, (hashing) => {
    metrics.onHashing(hashing)
    tracing?.onHashing(hashing)
  })
  giveWay()
  keepTicksFast()
  const app = createApp({ config, database, keyring, passwords, logger, metrics, tracing, clock: Date.now })
  const hasMetricsPort = config.workers === 1 && config.metricsPort !== undefined
  const metricsServer = hasMetricsPort ? createMetricsServer(metrics, logger) : undefined

  closeGently(app, () => connections.last())
  await app.ready()

  // Before anybody can know that it listens: a signal that comes right then is heard.
  const skip = config.workers === 1 ? ['SIGHUP' as const] : ['SIGHUP' as const, ...SIGNALS]
  const options = { delay: GIVE_UP_AFTER, logger, skip }
  const { close, uninstall } = closeWithGrace(options, async ({ signal, err }) => {
    const signalledAt = performance.now()
    if (err !== undefined) logger.fatal({ err }, 'an error nobody caught')
    else logger.info({ signal }, 'draining')
    await app.close()
    await metricsServer?.close()
    await database.close()
    await tracing?.stop(signalledAt + FLUSH_UNTIL)
    logger.info('drained')
  })
  const connections = connectionsOf({ app, config, drain: () => void close(), reloadSecrets })

  try {
    if (metricsServer !== undefined) {
      const { host, metricsPort } = config
      await listen(metricsServer, { variable: 'METRICS_PORT', host, port: metricsPort as number })
    }
    await connections.open()
  } catch (error) {
    uninstall()
    await app.close()
    await metricsServer?.close()
    await database.close()
    throw error
  }
}

function fromOwnPort({ app, config: { host, port } }: Serving): Connections {
  return {
    open: () => listen(app, { variable: 'PORT', host, port }),
    last: () => closePort(app.server),
  }
}

async function traces({ tracesEndpoint, trustProxy }: Config): Promise<Tracing | undefined> {
  const { env } = process
  // https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
  if (tracesEndpoint === undefined || env.OTEL_SDK_DISABLED?.toLowerCase() === 'true') return undefined
  try {
    return await startTracing({ endpoint: tracesEndpoint, trustProxy, env })
  } catch (error) {
    throw new StartError((error as Error).message)
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
function createReload(path: string | undefined, keyring: Keyring, config: Config, log: Logger): () => void {
  if (path === undefined) {
    const reason = 'JWT_SECRET stands in the environment, which is read at the start alone'
    return () => log.info({ event: 'secrets_unchanged', reason, kids: keyring.kids }, 'secrets_unchanged')
  }
  const tokenLife = config.accessTokenTtl + LEEWAY
  return followSecretFile({ path, keyring, tokenLife, log, clock: Date.now })
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
