import type { FastifyRequest, onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify'
import { z } from 'zod'
import { clientOf } from '../http/client.ts'
import type { Scope } from '../http/validation.ts'
import { requireOwnIds, requireRole, requireScope } from '../tokens/guard.ts'
import { ADMIN, ADMIN_SCOPE } from '../tokens/roles.ts'
import type { Admin, Operator } from './admin.ts'
import {
  AccountDetailsBody,
  AccountPageBody,
  AccountParams,
  AdminAccountBody,
  ListQuery,
  OperatorChange,
} from './schemas.ts'
import { accountDetailsBody, accountPageBody, adminAccountBody } from './wire.ts'

export interface AdminRoutesParts {
  readonly admin: Admin
  readonly guard: onRequestHookHandler
  readonly requireSession: onRequestAsyncHookHandler
}

/** What may be answered to who isn't an operator, or while there is no database. */
export const refusals = ['insufficient_role', 'insufficient_scope', 'database_unavailable'] as const

/** GET /admin/accounts; GET and PATCH /admin/accounts/{id}; DELETE /admin/accounts/{id}/sessions and .../attempts. */
export async function adminRoutes(
  scope: Scope,
  { admin, guard, requireSession }: AdminRoutesParts,
): Promise<void> {
  scope.register(async (operators: Scope) => {
    letInOperators(operators, { admin, guard, requireSession })

    operators.get(
      '/admin/accounts',
      {
        schema: {
          operationId: 'listAccounts',
          summary: 'Find accounts',
          description: 'The newest first. Pages stay in step while accounts come and go.',
          tags: ['admin'],
          guarded: true,
          querystring: ListQuery,
          response: { 200: AccountPageBody },
          success: 'A page of accounts.',
          problems: refusals,
        },
      },
      async (request) => {
        const { q: text, ...wish } = request.query
        return accountPageBody(await admin.list({ text, ...wish }, operatorOf(request)))
      },
    )

    operators.get(
      '/admin/accounts/:id',
      {
        schema: {
          operationId: 'getAccountDetails',
          summary: 'An account and its sessions',
          tags: ['admin'],
          guarded: true,
          params: AccountParams,
          response: { 200: AccountDetailsBody },
          success: 'The account, with the hundred sessions that were used last.',
          problems: ['not_found', ...refusals],
        },
      },
      async (request) =>
        accountDetailsBody(await admin.read(request.params.id, operatorOf(request)), request.user.sid),
    )

    operators.patch(
      '/admin/accounts/:id',
      {
        schema: {
          operationId: 'administerAccount',
          summary: 'Disable or enable an account, set its roles or its name',
          description:
            'Disabling ends every session and credential. With other roles, access tokens that carry the old ones are ' +
            'refused (`token_stale`) and a refresh brings new ones. Both at once, on other nodes within a second.',
          tags: ['admin'],
          guarded: true,
          params: AccountParams,
          body: OperatorChange,
          response: { 200: AdminAccountBody },
          success: 'The account as it is now.',
          problems: ['not_found', 'last_admin', ...refusals],
        },
      },
      async (request) =>
        adminAccountBody(await admin.change(request.params.id, request.body, operatorOf(request))),
    )

    operators.delete(
      '/admin/accounts/:id/sessions',
      {
        schema: {
          operationId: 'signOutAccount',
          summary: 'Sign an account out everywhere',
          description: 'Ends every session, and every credential of a service.',
          tags: ['admin'],
          guarded: true,
          params: AccountParams,
          response: { 204: z.undefined() },
          success: 'Signed out; the access tokens are refused from now on, on other nodes within a second.',
          problems: ['not_found', ...refusals],
        },
      },
      async (request, reply) => {
        await admin.signOut(request.params.id, operatorOf(request))
        return reply.code(204).send()
      },
    )

    operators.delete(
      '/admin/accounts/:id/attempts',
      {
        schema: {
          operationId: 'resetAttempts',
          summary: 'Forget the failed logins at an account',
          description: 'Its owner may try again at once, from wherever.',
          tags: ['admin'],
          guarded: true,
          params: AccountParams,
          response: { 204: z.undefined() },
          success: 'Forgotten; on every node within a second.',
          problems: ['not_found', ...refusals],
        },
      },
      async (request, reply) => {
        await admin.resetAttempts(request.params.id, operatorOf(request))
        return reply.code(204).send()
      },
    )
  })
}

/** Lets in operators alone, to the routes that come after it in the scope. */
export function letInOperators(
  scope: Scope,
  {
    admin,
    guard,
    requireSession,
  }: Pick<AdminRoutesParts, 'guard' | 'requireSession'> & {
    readonly admin: Pick<Admin, 'requireAdmin'>
  },
): void {
  scope.addHook('onRequest', guard)
  scope.addHook('onRequest', requireOwnIds)
  scope.addHook('onRequest', requireRole(ADMIN))
  scope.addHook('onRequest', requireScope(ADMIN_SCOPE))
  scope.addHook('onRequest', requireSession)
  scope.addHook('onRequest', async ({ user }) => admin.requireAdmin(user))
}

/** Who asks, behind the guard. */
export function operatorOf(request: Pick<FastifyRequest, 'user'> & Parameters<typeof clientOf>[0]): Operator {
  return { actor: request.user.sub, client: clientOf(request) }
}
