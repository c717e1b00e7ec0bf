import type { onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify'
import { z } from 'zod'
import { clientOf } from '../http/client.ts'
import type { Shedding } from '../http/shedding.ts'
import type { Scope } from '../http/validation.ts'
import { type CheckOrigin, setCookie } from '../sessions/cookie.ts'
import { tokensBody } from '../sessions/wire.ts'
import { requireOwnIds, requireScope } from '../tokens/guard.ts'
import { ACCOUNT_SCOPE } from '../tokens/roles.ts'
import type { Accounts } from './accounts.ts'
import {
  AccountBody,
  AccountChange,
  AccountDeletion,
  PasswordChange,
  SignupBody,
  SignupRequest,
} from './schemas.ts'
import { accountBody } from './wire.ts'

export interface AccountRoutesParts {
  readonly accounts: Accounts
  readonly guard: onRequestHookHandler
  readonly requireSession: onRequestAsyncHookHandler
  readonly shed: Shedding
  readonly checkOrigin: CheckOrigin
}

/** POST /auth/signup; GET, PATCH and DELETE /account; PUT /account/password. */
export async function accountRoutes(
  scope: Scope,
  { accounts, guard, requireSession, shed, checkOrigin }: AccountRoutesParts,
): Promise<void> {
  scope.post(
    '/auth/signup',
    {
      onRequest: shed.hashing,
      schema: {
        operationId: 'signUp',
        summary: 'Make an account and open its first session',
        tags: ['auth'],
        cookieMode: true,
        body: SignupRequest,
        response: { 201: SignupBody },
        success: 'The account is made; Location names it.',
        problems: [
          'email_taken',
          'password_too_weak',
          'too_many_attempts',
          'overloaded',
          'database_unavailable',
        ],
      },
    },
    async (request, reply) => {
      const { email, password, name = null, transport = 'body' } = request.body
      checkOrigin(transport, request)
      const { account, tokens } = await accounts.signUp({ email, password, name }, clientOf(request))
      setCookie(reply, transport, tokens)
      return reply
        .code(201)
        .header('location', '/account')
        .send({ account: accountBody(account), tokens: tokensBody(tokens, transport) })
    },
  )

  scope.register(async (guarded: Scope) => {
    guarded.addHook('onRequest', guard)
    guarded.addHook('onRequest', requireOwnIds)
    guarded.addHook('onRequest', requireScope(ACCOUNT_SCOPE))
    guarded.addHook('onRequest', requireSession)

    guarded.get(
      '/account',
      {
        schema: {
          operationId: 'getAccount',
          summary: 'Your account',
          tags: ['account'],
          guarded: true,
          response: { 200: AccountBody },
          success: 'The account.',
          problems: ['insufficient_scope', 'database_unavailable'],
        },
      },
      async ({ user }) => accountBody(await accounts.read(user)),
    )

    guarded.patch(
      '/account',
      {
        schema: {
          operationId: 'changeAccount',
          summary: 'Change your name or address',
          tags: ['account'],
          guarded: true,
          body: AccountChange,
          response: { 200: AccountBody },
          success: 'The account as it is now.',
          problems: [
            'insufficient_scope',
            'invalid_credentials',
            'too_many_attempts',
            'email_taken',
            'overloaded',
            'database_unavailable',
          ],
        },
      },
      async (request) => {
        const { current_password: password, ...change } = request.body
        return accountBody(await accounts.change(request.user, change, password, clientOf(request)))
      },
    )

    guarded.put(
      '/account/password',
      {
        schema: {
          operationId: 'changePassword',
          summary: 'Change your password',
          description: 'Every other session of the account ends.',
          tags: ['account'],
          guarded: true,
          body: PasswordChange,
          response: { 204: z.undefined() },
          success: 'Changed.',
          problems: [
            'insufficient_scope',
            'invalid_credentials',
            'too_many_attempts',
            'password_too_weak',
            'overloaded',
            'database_unavailable',
          ],
        },
      },
      async (request, reply) => {
        const { current_password: current, new_password: next } = request.body
        await accounts.changePassword(request.user, { current, next }, clientOf(request))
        return reply.code(204).send()
      },
    )

    guarded.delete(
      '/account',
      {
        schema: {
          operationId: 'deleteAccount',
          summary: 'Delete your account',
          description: 'The account and all of its sessions are erased.',
          tags: ['account'],
          guarded: true,
          body: AccountDeletion,
          response: { 204: z.undefined() },
          success: 'Erased.',
          problems: [
            'insufficient_scope',
            'invalid_credentials',
            'too_many_attempts',
            'last_admin',
            'overloaded',
            'database_unavailable',
          ],
        },
      },
      async (request, reply) => {
        await accounts.erase(request.user, request.body.current_password, clientOf(request))
        return reply.code(204).send()
      },
    )
  })
}
