import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  LogController,
  type onRequestAsyncHookHandler,
} from 'fastify'
import { createAccounts } from './accounts/accounts.ts'
import { createRegistration } from './accounts/registration.ts'
import { accountRoutes } from './accounts/routes.ts'
import { createAccountStore } from './accounts/store.ts'
import { createAdmin } from './admin/admin.ts'
import { adminRoutes } from './admin/routes.ts'
import { createAdminStore } from './admin/store.ts'
import { createAudit } from './audit/audit.ts'
import { auditRoutes } from './audit/routes.ts'
import { createAuditStore } from './audit/store.ts'
import { createTrail } from './audit/trail.ts'
import type { Config } from './config.ts'
import type { Database } from './database/open.ts'
import { sweepRegularly } from './database/sweeper.ts'
import { allowOrigins } from './http/cors.ts'
import { docsRoutes } from './http/docs.ts'
import { handleClientError, handleError, toProblem } from './http/errors.ts'
import { warnOfProxy } from './http/forwarded.ts'
import { hangUp, refuseAmbiguous } from './http/framing.ts'
import { createReadiness, healthRoutes } from './http/health.ts'
import { answerNotFound } from './http/not-found.ts'
import { gatherOpenApi, openApiRoute } from './http/openapi.ts'
import { logLazily } from './http/request-logger.ts'
import { logRequests, markReplies, requestId } from './http/requests.ts'
import { watchEventLoop } from './http/shedding.ts'
import { cutUnread } from './http/unread.ts'
import { readJson, type Scope, useZod } from './http/validation.ts'
import { guardMetrics } from './metrics/guard-metrics.ts'
import { createMetrics, type Metrics } from './metrics/metrics.ts'
import { requestMetrics } from './metrics/request-metrics.ts'
import { meterRequests } from './metrics/requests.ts'
import { metricsRoutes } from './metrics/routes.ts'
import { serviceMetrics } from './metrics/service-metrics.ts'
import type { Passwords } from './passwords/passwords.ts'
import { createPolicy } from './passwords/policy.ts'
import { createFeed } from './revocations/feed.ts'
import { createFollower, pollEvery } from './revocations/follower.ts'
import { revocationRoutes } from './revocations/routes.ts'
import { createRevocationStore } from './revocations/store.ts'
import { createOriginCheck } from './sessions/cookie.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createSessions } from './sessions/sessions.ts'
import { createSessionStore } from './sessions/store.ts'
import { createAttemptStore } from './throttling/store.ts'
import { createThrottle } from './throttling/throttle.ts'
import { createGuard, newGuardOutcomes } from './tokens/guard.ts'
import type { Keyring } from './tokens/keyring.ts'
import { createMint } from './tokens/mint.ts'
import { createRevocations } from './tokens/revocations.ts'
import { createTokenMemory } from './tokens/token-memory.ts'
import { createVerifier } from './tokens/verifier.ts'
import type { Tracing } from './tracing/tracing.ts'
import { version } from './version.ts'

export interface AppParts {
  readonly config: Config
  readonly database: Database
  readonly keyring: Keyring
  readonly passwords: Passwords
  readonly logger: FastifyBaseLogger
  /** Where what there is to measure is added; metrics of its own unless it is given. */
  readonly metrics?: Metrics
  /** Where there are traces. */
  readonly tracing?: Pick<Tracing, 'traceRequests'> | undefined
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** Builds the service out of its parts. It is not ready yet, and does not listen. */
export function createApp({
  config,
  database,
  keyring,
  passwords,
  logger,
  metrics = createMetrics(),
  tracing,
  clock,
}: AppParts): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    trustProxy: config.trustProxy === false ? false : [...config.trustProxy],
    frameworkErrors(error, request, reply) {
      // A path that is no path reaches no hook, and so nothing has looked at how the request is framed.
      hangUp(reply)
      meters.countUnrouted(request.method, toProblem(error).code)
      handleError(error, request, reply)
    },
    clientErrorHandler(error, socket) {
      const answered = handleClientError(error, socket)
      if (answered !== undefined) meters.countUnrouted('unknown', answered.code)
    },
    ...limits,
  })

  // What every route shares. The hooks gather the routes that come after them.
  logLazily(app)
  app.setErrorHandler(handleError)
  tracing?.traceRequests(app)
  useZod(app)
  readJson(app)
  answerNotFound(app)
  const meters = meterRequests(app)
  const document = gatherOpenApi(app, version)
  refuseAmbiguous(app)
  markReplies(app)
  allowOrigins(app, config.corsOrigins)
  const stopLooking = cutUnread(app.server)
  app.addHook('onClose', async () => stopLooking())
  if (config.logRequests) logRequests(app)
  if (config.trustProxy === false) warnOfProxy(app)

  // The way of a token, from memory alone.
  const revocations = createRevocations(clock)
  const memory = createTokenMemory()
  const verify = createVerifier({ keyring, revocations, memory, clock, ...config })
  const outcomes = newGuardOutcomes()
  const guard = createGuard(verify, outcomes)
  const streams = { open: 0 }
  const { registry } = metrics
  const onHeard = guardMetrics(registry, { outcomes, memory, revocations, streams, clock })
  app.decorateRequest('user')

  // What brings other nodes' revocations into that memory: before the first request, and from then on.
  const revocationStore = createRevocationStore(database.db)
  const follower = createFollower({
    store: createRevocationStore(database.reserved),
    revocations,
    onRevocations: database.onRevocations,
    interval: pollEvery[database.dialect],
    log: logger,
    onHeard,
  })
  app.addHook('onReady', () => follower.start())
  app.addHook('onClose', () => follower.stop())

  // The rules, and what they stand on.
  const trail = createTrail({ db: database.db, log: logger, clock })
  const attempts = createAttemptStore(database.db)
  const throttle = createThrottle({ store: attempts, ...config, clock })
  const feed = createFeed({ store: revocationStore, follower, revocations })
  const refreshes = { repeated: 0 }
  requestMetrics(registry, meters, { refreshes })
  const sessionStore = createSessionStore(database.db)
  const sessions = createSessions({
    store: sessionStore,
    mint: createMint(keyring, config, config.accessTokenTtl),
    roles: config.roles,
    audiences: [config.audience, ...config.otherAudiences],
    idleTtl: config.refreshTokenTtl,
    sessionTtl: config.sessionTtl,
    ...{ passwords, revocations, throttle, trail, refreshes, clock },
  })
  const store = createAccountStore(database.db)
  const policy = createPolicy(config.passwordMinLength)
  const registration = createRegistration({ store, passwords, policy, clock })
  const accounts = createAccounts({
    store,
    registration,
    sessions,
    passwords,
    policy,
    revocations,
    throttle,
    trail,
    clock,
  })
  const admin = createAdmin({
    store: createAdminStore(database.db),
    accounts: store,
    sessions: sessionStore,
    roles: config.roles,
    ...{ revocations, throttle, trail, clock },
  })
  const auditStore = createAuditStore(database.db)
  const audit = createAudit({ store: auditStore, trail })

  const requireSession: onRequestAsyncHookHandler = async ({ user }) => sessions.requireSession(user)

  // What is refused first when there is too much to do.
  const eventLoop = watchEventLoop(passwords.requireRoom)
  const { shed } = eventLoop
  // A worker doesn't call listen(), but says that it listens.
  app.server.once('listening', eventLoop.start)
  app.addHook('onClose', async () => eventLoop.stop())

  // On the way out streams end, and the guard goes on hearing of revocations to the last request.
  let draining = false
  app.addHook('preClose', async () => {
    draining = true
    follower.dismiss()
  })
  const requireReady = createReadiness({ database, revocations, ...config, isDraining: () => draining })
  serviceMetrics(registry, { version, requireReady, throttle, hashing: passwords.load, ...database })
  const sweeps = {
    'expired sessions': sessionStore.sweep,
    'expired revocations': revocationStore.sweep,
    'forgotten attempts': attempts.sweep,
    'old audit events': auditStore.sweepOlderThan(config.auditRetention),
  }
  const stopSweeping = sweepRegularly(sweeps, clock, logger)
  app.addHook('onClose', stopSweeping)

  // The list of what exists.
  const checkOrigin = createOriginCheck(config)
  app.register(async (scope: Scope) => {
    await healthRoutes(scope, { requireReady, keyring, revocations })
    if (config.metricsPort === undefined) await metricsRoutes(scope, metrics)
    await sessionRoutes(scope, { sessions, guard, requireSession, shed, checkOrigin })
    await accountRoutes(scope, { accounts, guard, requireSession, shed, checkOrigin })
    await adminRoutes(scope, { admin, guard, requireSession })
    await auditRoutes(scope, { audit, admin, guard, requireSession })
    await revocationRoutes(scope, { feed, guard, verify, streams })
    scope.register(async (shedding: Scope) => {
      shedding.addHook('onRequest', shed.strangers)
      openApiRoute(shedding, document)
      if (config.docs) docsRoutes(shedding)
    })
  })

  return app
}

// A client may be slow, but not for ever. Fastify would wait without end for a body (requestTimeout 0). Sockets are
// kept longer than load balancers keep them, so that it is never this end that closes one as a request comes.
const limits = {
  bodyLimit: 16 * 1_024,
  requestTimeout: 15_000,
  keepAliveTimeout: 72_000,
  forceCloseConnections: 'idle',
  return503OnClosing: false,
  http: {
    maxHeaderSize: 16 * 1_024,
    headersTimeout: 10_000,
    connectionsCheckingInterval: 5_000,
    // A header that is sent twice is joined by commas, where Node would keep the first alone.
    joinDuplicateHeaders: true,
    // http/framing.ts looks at it, and answers like everything else does.
    requireHostHeader: false,
  },
} as const
