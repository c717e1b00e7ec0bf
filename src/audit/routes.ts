import type { onRequestAsyncHookHandler, onRequestHookHandler } from 'fastify'
import type { Admin } from '../admin/admin.ts'
import { letInOperators, operatorOf, refusals } from '../admin/routes.ts'
import type { Scope } from '../http/validation.ts'
import { requireOwnIds, requireScope } from '../tokens/guard.ts'
import { ACCOUNT_SCOPE } from '../tokens/roles.ts'
import type { Audit } from './audit.ts'
import { AuditPageBody, AuditQuery, OwnAuditPageBody, OwnAuditQuery } from './schemas.ts'
import { auditPageBody, ownAuditPageBody } from './wire.ts'

export interface AuditRoutesParts {
  readonly audit: Audit
  readonly admin: Pick<Admin, 'requireAdmin'>
  readonly guard: onRequestHookHandler
  readonly requireSession: onRequestAsyncHookHandler
}

const NEWEST_FIRST = 'The newest first. Pages stay in step while events are written.'

/** GET /admin/audit and GET /account/audit. */
export async function auditRoutes(
  scope: Scope,
  { audit, admin, guard, requireSession }: AuditRoutesParts,
): Promise<void> {
  scope.register(async (operators: Scope) => {
    letInOperators(operators, { admin, guard, requireSession })

    operators.get(
      '/admin/audit',
      {
        schema: {
          operationId: 'listAuditEvents',
          summary: 'What happened to accounts and sessions',
          description: `${NEWEST_FIRST} That it was read is an event as well.`,
          tags: ['admin'],
          guarded: true,
          querystring: AuditQuery,
          response: { 200: AuditPageBody },
          success: 'A page of events.',
          problems: refusals,
        },
      },
      async (request) => auditPageBody(await audit.read(request.query, operatorOf(request))),
    )
  })

  scope.register(async (own: Scope) => {
    own.addHook('onRequest', guard)
    own.addHook('onRequest', requireOwnIds)
    own.addHook('onRequest', requireScope(ACCOUNT_SCOPE))
    own.addHook('onRequest', requireSession)

    own.get(
      '/account/audit',
      {
        schema: {
          operationId: 'listOwnAuditEvents',
          summary: 'What happened to your account',
          description: NEWEST_FIRST,
          tags: ['account'],
          guarded: true,
          querystring: OwnAuditQuery,
          response: { 200: OwnAuditPageBody },
          success: 'A page of events.',
          problems: ['insufficient_scope', 'database_unavailable'],
        },
      },
      async ({ user, query }) => ownAuditPageBody(await audit.readOwn(user.sub, query)),
    )
  })
}
