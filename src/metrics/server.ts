import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { handleClientError, handleError } from '../http/errors.ts'
import { answerNotFound } from '../http/not-found.ts'
import { markReplies, requestId } from '../http/requests.ts'
import { useZod } from '../http/validation.ts'
import type { Metrics } from './metrics.ts'
import { metricsRoutes } from './routes.ts'

/** Sockets at the same time: who scrapes is few. */
const CONNECTIONS = 100

/**
 * A server of GET /metrics and nothing else, for a port of its own. It doesn't keep the process from ending. What it is
 * sending when it is closed is cut off: a scrape that fails is one of many.
 */
export function createMetricsServer(
  { text }: Pick<Metrics, 'text'>,
  logger: FastifyBaseLogger,
): FastifyInstance {
  const server = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    frameworkErrors: handleError,
    clientErrorHandler: (error, socket) => void handleClientError(error, socket),
    bodyLimit: 1_024,
    requestTimeout: 5_000,
    connectionTimeout: 10_000,
    forceCloseConnections: true,
    return503OnClosing: false,
    http: { maxHeaderSize: 16 * 1_024, headersTimeout: 5_000, connectionsCheckingInterval: 1_000 },
  })
  server.setErrorHandler(handleError)
  useZod(server)
  answerNotFound(server)
  markReplies(server)
  server.register(async (scope) => metricsRoutes(scope, { text }))

  server.server.maxConnections = CONNECTIONS
  server.server.on('connection', (socket) => socket.unref())
  server.addHook('onListen', async () => {
    server.server.unref()
  })
  return server
}
