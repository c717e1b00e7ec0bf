import type { onRequestHookHandler } from 'fastify'
import { z } from 'zod'
import { clientOf } from '../http/client.ts'
import type { Scope } from '../http/validation.ts'
import { tokensBody } from '../sessions/routes.ts'
import type { Accounts } from './accounts.ts'
import { Account, AccountChange, AccountDeletion, PasswordChange, Signup, SignupRequest } from './schemas.ts'
import type { Account as StoredAccount } from './store.ts'

export interface AccountRoutesParts {
  readonly accounts: Accounts
  readonly guard: onRequestHookHandler
}

/** POST /auth/signup; GET, PATCH and DELETE /account; PUT /account/password. */
export async function accountRoutes(scope: Scope, { accounts, guard }: AccountRoutesParts): Promise<void> {
  scope.post(
    '/auth/signup',
    {
      schema: {
        operationId: 'signUp',
        summary: 'Make an account and open its first session',
        tags: ['auth'],
        body: SignupRequest,
        response: { 201: Signup },
        success: 'The account is made; Location names it.',
        problems: ['email_taken', 'password_too_weak', 'overloaded', 'database_unavailable'],
      },
    },
    async (request, reply) => {
      const { email, password, name = null } = request.body
      const { account, tokens } = await accounts.signUp({ email, password, name }, clientOf(request))
      return reply
        .code(201)
        .header('location', '/account')
        .send({ account: accountBody(account), tokens: tokensBody(tokens) })
    },
  )

  scope.register(async (guarded: Scope) => {
    guarded.addHook('onRequest', guard)

    guarded.get(
      '/account',
      {
        schema: {
          operationId: 'getAccount',
          summary: 'Your account',
          tags: ['account'],
          guarded: true,
          response: { 200: Account },
          success: 'The account.',
          problems: ['database_unavailable'],
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
          response: { 200: Account },
          success: 'The account as it is now.',
          problems: ['invalid_credentials', 'email_taken', 'overloaded', 'database_unavailable'],
        },
      },
      async (request) => {
        const { name, email, current_password } = request.body
        if (email === undefined || current_password === undefined) {
          return accountBody(await accounts.rename(request.user, name ?? null))
        }
        const change = { email, ...(name === undefined ? {} : { name }) }
        return accountBody(
          await accounts.changeEmail(request.user, change, current_password, clientOf(request)),
        )
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
          problems: ['invalid_credentials', 'password_too_weak', 'overloaded', 'database_unavailable'],
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
          problems: ['invalid_credentials', 'overloaded', 'database_unavailable'],
        },
      },
      async (request, reply) => {
        await accounts.erase(request.user, request.body.current_password, clientOf(request))
        return reply.code(204).send()
      },
    )
  })
}

function accountBody(account: StoredAccount): z.input<typeof Account> {
  return {
    id: account.id,
    email: account.email,
    name: account.name,
    roles: [...account.roles],
    status: account.status,
    created_at: new Date(account.createdAt).toISOString(),
    updated_at: new Date(account.updatedAt).toISOString(),
  }
}
