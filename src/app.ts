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
import type { Config } from './config.ts'
import type { Database } from './database/open.ts'
import { logEvents } from './events.ts'
import { handleClientError, handleError } from './http/errors.ts'
import { healthRoutes } from './http/health.ts'
import { answerNotFound } from './http/not-found.ts'
import { gatherOpenApi, openApiRoute } from './http/openapi.ts'
import { logRequests, markReplies, requestId } from './http/requests.ts'
import { readJson, type Scope, useZod } from './http/validation.ts'
import type { Passwords } from './passwords/passwords.ts'
import { createPolicy } from './passwords/policy.ts'
import { sessionRoutes } from './sessions/routes.ts'
import { createSessions } from './sessions/sessions.ts'
import { createSessionStore } from './sessions/store.ts'
import { sweepRegularly } from './sessions/sweeper.ts'
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
  const guard = createGuard(createVerifier({ keyring, revocations, clock, ...config }))
  app.decorateRequest('user')

  // The rules, and what they stand on.
  const record = logEvents(logger)
  const sessions = createSessions({
    store: createSessionStore(database.db),
    mint: createMint(keyring, config, config.accessTokenTtl),
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

  const requireSession: onRequestAsyncHookHandler = async ({ user }) => sessions.requireSession(user)

  let draining = false
  app.addHook('preClose', async () => {
    draining = true
  })
  const stopSweeping = sweepRegularly(sessions, logger)
  app.addHook('onClose', stopSweeping)

  // The list of what exists.
  app.register(async (scope: Scope) => {
    await healthRoutes(scope, { database, isDraining: () => draining })
    await sessionRoutes(scope, { sessions, guard, requireSession })
    await accountRoutes(scope, { accounts, guard, requireSession })
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
