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
import type { Config } from './config.ts'
import type { Database } from './database/open.ts'
import { sweepRegularly } from './database/sweeper.ts'
import { logEvents } from './events.ts'
import { handleClientError, handleError } from './http/errors.ts'
import { healthRoutes } from './http/health.ts'
import { answerNotFound } from './http/not-found.ts'
import { gatherOpenApi, openApiRoute } from './http/openapi.ts'
import { logRequests, markReplies, requestId } from './http/requests.ts'
import { readJson, type Scope, useZod } from './http/validation.ts'
import type { Passwords } from './passwords/passwords.ts'
import { createPolicy } from './passwords/policy.ts'
import { createFeed } from './revocations/feed.ts'
import { createFollower, pollEvery } from './revocations/follower.ts'
import { revocationRoutes } from './revocations/routes.ts'
import { createRevocationStore } from './revocations/store.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createSessions } from './sessions/sessions.ts'
import { createSessionStore } from './sessions/store.ts'
import { createGuard } from './tokens/guard.ts'
import type { Keyring } from './tokens/keyring.ts'
import { createMint } from './tokens/mint.ts'
import { createRevocations } from './tokens/revocations.ts'
import { createVerifier } from './tokens/verifier.ts'
import { version } from './version.ts'

export interface AppParts {
  readonly config: Config
  readonly database: Database
  readonly keyring: Keyring
  readonly passwords: Passwords
  readonly logger: FastifyBaseLogger
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
  clock,
}: AppParts): FastifyInstance {
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: requestId,
    trustProxy: config.trustProxy === false ? false : [...config.trustProxy],
    frameworkErrors: handleError,
    clientErrorHandler: handleClientError,
    ...limits,
  })

  // What every route shares. The hooks gather the routes that come after them.
  app.setErrorHandler(handleError)
  useZod(app)
  readJson(app)
  answerNotFound(app)
  const document = gatherOpenApi(app, version)
  markReplies(app)
  if (config.logRequests) logRequests(app)

  // The way of a token, from memory alone.
  const revocations = createRevocations(clock)
  const verify = createVerifier({ keyring, revocations, clock, ...config })
  const guard = createGuard(verify)
  app.decorateRequest('user')

  // What brings other nodes' revocations into that memory: before the first request, and from then on.
  const revocationStore = createRevocationStore(database.db)
  const follower = createFollower({
    store: revocationStore,
    revocations,
    onRevocations: database.onRevocations,
    interval: pollEvery[database.dialect],
    log: logger,
  })
  app.addHook('onReady', () => follower.start())
  app.addHook('onClose', () => follower.stop())

  // The rules, and what they stand on.
  const record = logEvents(logger)
  const feed = createFeed({ store: revocationStore, follower, revocations })
  const sessionStore = createSessionStore(database.db)
  const sessions = createSessions({
    store: sessionStore,
    mint: createMint(keyring, config, config.accessTokenTtl),
    roles: config.roles,
    audiences: [config.audience, ...config.otherAudiences],
    idleTtl: config.refreshTokenTtl,
    sessionTtl: config.sessionTtl,
    ...{ passwords, revocations, record, clock },
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
    record,
    clock,
  })
  const admin = createAdmin({
    store: createAdminStore(database.db),
    accounts: store,
    sessions: sessionStore,
    roles: config.roles,
    ...{ revocations, record, clock },
  })

  const requireSession: onRequestAsyncHookHandler = async ({ user }) => sessions.requireSession(user)

  // On the way out streams end, and the guard goes on hearing of revocations to the last request.
  let draining = false
  app.addHook('preClose', async () => {
    draining = true
    follower.dismiss()
  })
  const sweeps = { 'expired sessions': sessionStore.sweep, 'expired revocations': revocationStore.sweep }
  const stopSweeping = sweepRegularly(sweeps, clock, logger)
  app.addHook('onClose', stopSweeping)

  // The list of what exists.
  app.register(async (scope: Scope) => {
    await healthRoutes(scope, { database, keyring, revocations, ...config, isDraining: () => draining })
    await sessionRoutes(scope, { sessions, guard, requireSession })
    await accountRoutes(scope, { accounts, guard, requireSession })
    await adminRoutes(scope, { admin, guard, requireSession })
    await revocationRoutes(scope, { feed, guard, verify })
    openApiRoute(scope, document)
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
  },
} as const
