import type { onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify'
import { z } from 'zod'
import { emailKey } from '../email.ts'
import { clientOf } from '../http/client.ts'
import type { Shedding } from '../http/shedding.ts'
import type { Scope } from '../http/validation.ts'
import { checkScope } from '../tokens/bearer.ts'
import { requireOwnIds, requireScope } from '../tokens/guard.ts'
import { ACCOUNT_SCOPE } from '../tokens/roles.ts'
import { type CheckOrigin, isWorthless, removeCookie, setCookie, tokenInCookie } from './cookie.ts'
import {
  AccessTokenBody,
  ClaimsBody,
  CredentialRequest,
  LoginRequest,
  LogoutRequest,
  RefreshRequest,
  SessionListBody,
  SessionParams,
  TokensBody,
} from './schemas.ts'
import type { Sessions } from './sessions.ts'
import { accessTokenBody, sessionBody, tokensBody } from './wire.ts'

export interface SessionRoutesParts {
  readonly sessions: Sessions
  readonly guard: onRequestHookHandler
  readonly requireSession: onRequestAsyncHookHandler
  readonly shed: Shedding
  readonly checkOrigin: CheckOrigin
}

/** POST /auth/login, /auth/refresh, /auth/token, /auth/logout; GET /me; GET and DELETE /account/sessions. */
export async function sessionRoutes(
  scope: Scope,
  { sessions, guard, requireSession, shed, checkOrigin }: SessionRoutesParts,
): Promise<void> {
  scope.post(
    '/auth/login',
    {
      onRequest: shed.hashing,
      schema: {
        operationId: 'logIn',
        summary: 'Open a session',
        tags: ['auth'],
        cookieMode: true,
        body: LoginRequest,
        response: { 200: TokensBody },
        success: 'The session is open.',
        problems: [
          'invalid_credentials',
          'account_disabled',
          'too_many_attempts',
          'overloaded',
          'database_unavailable',
        ],
      },
    },
    async (request, reply) => {
      const { email, password, transport = 'body', ...wish } = request.body
      checkOrigin(transport, request)
      const tokens = await sessions.logIn(emailKey(email), password, wish, clientOf(request))
      setCookie(reply, transport, tokens)
      return tokensBody(tokens, transport)
    },
  )

  scope.post(
    '/auth/refresh',
    {
      onRequest: shed.sessions,
      schema: {
        operationId: 'refresh',
        summary: 'Exchange a refresh token for new tokens',
        description:
          'A refresh token works once. For 10 s the previous one gets the same answer again, in case the first was ' +
          'lost; an older one ends the session. A cookie whose token will never be good again is removed.',
        tags: ['auth'],
        cookieMode: true,
        body: RefreshRequest,
        response: { 200: TokensBody },
        success: 'New tokens of the same session.',
        problems: [
          'refresh_token_invalid',
          'refresh_token_reused',
          'account_disabled',
          'too_many_attempts',
          'overloaded',
          'database_unavailable',
        ],
      },
    },
    async (request, reply) => {
      const { refresh_token: given, transport = 'body', ...wish } = request.body
      checkOrigin(transport, request)
      const token = given ?? tokenInCookie(request)
      const tokens = await sessions.refresh(token, wish, clientOf(request)).catch((error) => {
        if (isWorthless(error)) removeCookie(reply, transport)
        throw error
      })
      setCookie(reply, transport, tokens)
      return tokensBody(tokens, transport)
    },
  )

  scope.post(
    '/auth/token',
    {
      onRequest: shed.strangers,
      schema: {
        operationId: 'exchangeCredential',
        summary: "Exchange a service account's credential for an access token",
        description: 'The credential stays good until it expires or is ended; there is nothing to refresh.',
        tags: ['auth'],
        body: CredentialRequest,
        response: { 200: AccessTokenBody },
        success: 'An access token.',
        problems: [
          'invalid_credentials',
          'account_disabled',
          'too_many_attempts',
          'overloaded',
          'database_unavailable',
        ],
      },
    },
    async (request) => {
      const { credential, ...wish } = request.body
      return accessTokenBody(await sessions.exchange(credential, wish, clientOf(request)))
    },
  )

  scope.register(async (guarded: Scope) => {
    guarded.addHook('onRequest', guard)

    guarded.get(
      '/me',
      {
        schema: {
          operationId: 'getMe',
          summary: 'The verified claims of the access token',
          description: 'Decided from the token and from memory: it is answered while the database is gone.',
          tags: ['me'],
          guarded: true,
          response: { 200: ClaimsBody },
          success: 'The claims.',
        },
      },
      (request, reply) => {
        reply.send(request.user as unknown as z.input<typeof ClaimsBody>)
      },
    )
  })

  scope.register(async (own: Scope) => {
    own.addHook('onRequest', guard)
    own.addHook('onRequest', requireOwnIds)

    own.post(
      '/auth/logout',
      {
        schema: {
          operationId: 'logOut',
          summary: 'End this session, the others, or all',
          description: 'To end more than this one takes the scope `account`.',
          tags: ['auth'],
          guarded: true,
          cookieMode: true,
          body: LogoutRequest.nullish(),
          response: { 204: z.undefined() },
          success: 'Signed out; the access tokens are refused from now on, on other nodes within a second.',
          problems: ['insufficient_scope', 'database_unavailable'],
        },
      },
      async (request, reply) => {
        const { scope: which = 'this', transport = 'body' } = request.body ?? {}
        checkOrigin(transport, request)
        // A token with fewer scopes, or a service's, speaks for its own session and not for the account.
        if (which !== 'this') checkScope(request.user, ACCOUNT_SCOPE)
        await sessions.logOut(request.user, which, clientOf(request))
        if (which !== 'others') removeCookie(reply, transport)
        return reply.code(204).send()
      },
    )
  })

  scope.register(async (live: Scope) => {
    live.addHook('onRequest', guard)
    live.addHook('onRequest', requireOwnIds)
    live.addHook('onRequest', requireScope(ACCOUNT_SCOPE))
    live.addHook('onRequest', requireSession)

    live.get(
      '/account/sessions',
      {
        schema: {
          operationId: 'listSessions',
          summary: 'Where you are signed in',
          tags: ['account'],
          guarded: true,
          response: { 200: SessionListBody },
          success: 'The last used first; at most a hundred.',
          problems: ['insufficient_scope', 'database_unavailable'],
        },
      },
      async ({ user }) => ({
        sessions: (await sessions.list(user.sub)).map((session) => sessionBody(session, user)),
      }),
    )

    live.delete(
      '/account/sessions/:id',
      {
        schema: {
          operationId: 'endSession',
          summary: 'End one of your sessions',
          tags: ['account'],
          guarded: true,
          params: SessionParams,
          response: { 204: z.undefined() },
          success: 'It has ended.',
          problems: ['insufficient_scope', 'not_found', 'database_unavailable'],
        },
      },
      async (request, reply) => {
        await sessions.end(request.user.sub, request.params.id, clientOf(request))
        return reply.code(204).send()
      },
    )
  })
}
