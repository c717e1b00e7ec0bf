// npx openapi-typescript openapi.yaml --output api.ts
import createClient from 'openapi-fetch'
import type { components, operations, paths } from './api.ts'
import type { Journey, Refusal } from './journey.ts'

type Problem = components['schemas']['Problem']
type Tokens = components['schemas']['Tokens']
type Query<Name extends keyof operations> = NonNullable<operations[Name]['parameters']['query']>

/** A client for one user: whoever signs in is who it calls for. */
function createLatchkey(baseUrl: string) {
  let token: string | undefined
  const api = createClient<paths>({ baseUrl })
  api.use({
    onRequest({ request }) {
      if (token !== undefined) request.headers.set('authorization', `Bearer ${token}`)
    },
  })
  return {
    api,
    signIn(tokens: Pick<Tokens, 'access_token'>) {
      token = tokens.access_token
    },
  }
}

/** What was answered. @throws what is no success */
function ok<Data>({ data, error }: { data?: Data | undefined; error?: Problem | undefined }): Data {
  if (error !== undefined) throw new Error(`${error.code}: ${error.detail}`)
  return data as Data
}

/** What is no success. */
function refusal({ error, response }: { error?: Problem | undefined; response: Response }): Refusal {
  if (error === undefined) throw new Error('it was let in')
  return { status: response.status, code: error.code, fields: error.errors?.map(({ path }) => path) ?? [] }
}

export const journey: Journey = async (baseUrl, { ada, operator, credential }) => {
  const { api, signIn } = createLatchkey(baseUrl)

  // Ada signs up.
  const { account: signedUp } = ok(await api.POST('/auth/signup', { body: { ...ada, name: 'Ada Lovelace' } }))
  const emailTaken = refusal(await api.POST('/auth/signup', { body: ada }))
  const weak = { email: `b${ada.email}`, password: 'password' }
  const passwordTooWeak = refusal(await api.POST('/auth/signup', { body: weak }))
  const notAnAddress = refusal(await api.POST('/auth/signup', { body: { ...ada, email: 'ada' } }))

  // She logs in.
  const wrong = await api.POST('/auth/login', { body: { ...ada, password: 'a long walk by the sea' } })
  const wrongPassword = refusal(wrong)
  const tokens = ok(await api.POST('/auth/login', { body: ada }))
  signIn(tokens)
  const me = ok(await api.GET('/me'))

  // Her account.
  const account = ok(await api.GET('/account'))
  const renamed = ok(await api.PATCH('/account', { body: { name: 'Ada King' } }))
  const nameless = ok(await api.PATCH('/account', { body: { name: null } }))

  // Where she is signed in, and no longer.
  const { sessions } = ok(await api.GET('/account/sessions'))
  for (const { id, current } of sessions) {
    if (!current) ok(await api.DELETE('/account/sessions/{id}', { params: { path: { id } } }))
  }
  const { sessions: sessionsLeft } = ok(await api.GET('/account/sessions'))
  const noSuchSession = refusal(
    await api.DELETE('/account/sessions/{id}', { params: { path: { id: signedUp.id } } }),
  )

  // She refreshes. The refresh token is always there, unless it travels in a cookie.
  const { refresh_token = '' } = tokens
  signIn(ok(await api.POST('/auth/refresh', { body: { refresh_token } })))
  const { sid: sidAfterRefresh } = ok(await api.GET('/me'))
  const refreshedWithNothing = refusal(await api.POST('/auth/refresh', { body: { refresh_token: 'lkr_' } }))

  // A new password.
  const new_password = `${ada.password}, again`
  const unknown = { current_password: new_password, new_password }
  const wrongCurrentPassword = refusal(await api.PUT('/account/password', { body: unknown }))
  ok(await api.PUT('/account/password', { body: { current_password: ada.password, new_password } }))

  // What happened to her account.
  const ownEvents: string[][] = []
  for (const query: Query<'listOwnAuditEvents'> = { limit: 5 }; ; ) {
    const { events, next_cursor } = ok(await api.GET('/account/audit', { params: { query } }))
    ownEvents.push(events.map(({ event }) => event))
    if (next_cursor === null) break
    query.cursor = next_cursor
  }
  const failed = { event: 'login_failed', outcome: 'failure', from: signedUp.created_at } as const
  const { events: failedLogins } = ok(await api.GET('/account/audit', { params: { query: failed } }))
  const noOperator = refusal(await api.GET('/admin/accounts'))

  // She logs out.
  ok(await api.POST('/auth/logout'))
  const afterLogOut = refusal(await api.GET('/me'))
  const withoutToken = refusal(await createLatchkey(baseUrl).api.GET('/me'))

  // An operator looks for her.
  const { api: admin, signIn: signInOperator } = createLatchkey(baseUrl)
  signInOperator(ok(await admin.POST('/auth/login', { body: operator })))
  const found: components['schemas']['AdminAccount'][][] = []
  for (const query: Query<'listAccounts'> = { q: '@example.com', limit: 1 }; ; ) {
    const { accounts, next_cursor } = ok(await admin.GET('/admin/accounts', { params: { query } }))
    found.push(accounts)
    if (next_cursor === null) break
    query.cursor = next_cursor
  }
  const path = { id: signedUp.id }
  const details = ok(await admin.GET('/admin/accounts/{id}', { params: { path } }))

  // Nobody lets her in, and then somebody does.
  const disabled = ok(
    await admin.PATCH('/admin/accounts/{id}', { params: { path }, body: { status: 'disabled' } }),
  )
  const renewed = { email: ada.email, password: new_password }
  const logInWhileDisabled = refusal(await api.POST('/auth/login', { body: renewed }))
  const enabled = ok(
    await admin.PATCH('/admin/accounts/{id}', { params: { path }, body: { status: 'active' } }),
  )
  ok(await admin.DELETE('/admin/accounts/{id}/attempts', { params: { path } }))
  signIn(ok(await api.POST('/auth/login', { body: renewed })))

  // She is signed out everywhere, comes back, and goes for good.
  ok(await admin.DELETE('/admin/accounts/{id}/sessions', { params: { path } }))
  const afterSignOut = refusal(await api.GET('/account'))
  signIn(ok(await api.POST('/auth/login', { body: renewed })))
  ok(await api.DELETE('/account', { body: { current_password: new_password } }))
  const afterDeletion = refusal(await admin.GET('/admin/accounts/{id}', { params: { path } }))
  const disabling = { account: signedUp.id, event: 'account_disabled' } as const
  const audit = ok(await admin.GET('/admin/audit', { params: { query: disabling } }))
  ok(await admin.POST('/auth/logout', { body: { scope: 'all' } }))

  // A service hears of what was revoked.
  const { api: service, signIn: signInService } = createLatchkey(baseUrl)
  signInService(ok(await service.POST('/auth/token', { body: { credential } })))
  const feed = ok(await service.GET('/revocations'))
  if (typeof feed === 'string') throw new Error('that is the stream')

  const { status: alive } = ok(await api.GET('/livez'))
  const { status: ready } = ok(await api.GET('/readyz'))
  const metrics = ok(await api.GET('/metrics', { parseAs: 'text' }))

  return {
    signedUp,
    emailTaken,
    passwordTooWeak,
    notAnAddress,
    wrongPassword,
    expiresIn: tokens.expires_in,
    me,
    account,
    renamed,
    nameless,
    sessions,
    sessionsLeft,
    noSuchSession,
    sidAfterRefresh,
    refreshedWithNothing,
    wrongCurrentPassword,
    ownEvents,
    failedLogins,
    noOperator,
    afterLogOut,
    withoutToken,
    found,
    details,
    disabled,
    logInWhileDisabled,
    enabled,
    afterSignOut,
    disabledBy: audit.events.map(({ actor }) => actor),
    afterDeletion,
    revokedSessions: feed.revocations.map(({ sid }) => sid),
    health: { alive, ready, metrics },
  }
}
