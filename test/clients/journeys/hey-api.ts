// npx @hey-api/openapi-ts --input openapi.yaml --output generated
// What it brings along does not compile with exactOptionalPropertyTypes.
import { type Client, createClient, createConfig } from './generated/client/index.ts'
import * as latchkey from './generated/index.ts'
import type { Journey, Refusal } from './journey.ts'

type Query<Data extends { query?: unknown }> = NonNullable<Data['query']>

/** A client for one user: whoever signs in is who it calls for. */
function createUser(baseUrl: string) {
  let token: string | undefined
  const client: Client = createClient(createConfig({ baseUrl, auth: () => token }))
  return {
    client,
    signIn(tokens: latchkey.AccessToken | latchkey.Tokens) {
      token = tokens.access_token
    },
  }
}

/** What was answered. @throws what is no success */
function ok<Data>({ data, error }: { data?: Data | undefined; error?: latchkey.Problem | undefined }): Data {
  if (error !== undefined) throw new Error(`${error.code}: ${error.detail}`)
  return data as Data
}

/** What is no success. */
function refusal({ error }: { error?: latchkey.Problem | undefined }): Refusal {
  if (error === undefined) throw new Error('it was let in')
  return { status: error.status, code: error.code, fields: error.errors?.map(({ path }) => path) ?? [] }
}

export const journey: Journey = async (baseUrl, { ada, operator, credential }) => {
  const { client, signIn } = createUser(baseUrl)

  // Ada signs up.
  const body = { ...ada, name: 'Ada Lovelace' }
  const { account: signedUp } = ok(await latchkey.signUp({ client, body }))
  const emailTaken = refusal(await latchkey.signUp({ client, body: ada }))
  const weak = { email: `b${ada.email}`, password: 'password' }
  const passwordTooWeak = refusal(await latchkey.signUp({ client, body: weak }))
  const notAnAddress = refusal(await latchkey.signUp({ client, body: { ...ada, email: 'ada' } }))

  // She logs in.
  const wrong = { ...ada, password: 'a long walk by the sea' }
  const wrongPassword = refusal(await latchkey.logIn({ client, body: wrong }))
  const tokens = ok(await latchkey.logIn({ client, body: ada }))
  signIn(tokens)
  const me = ok(await latchkey.getMe({ client }))

  // Her account.
  const account = ok(await latchkey.getAccount({ client }))
  const renamed = ok(await latchkey.changeAccount({ client, body: { name: 'Ada King' } }))
  const nameless = ok(await latchkey.changeAccount({ client, body: { name: null } }))

  // Where she is signed in, and no longer.
  const { sessions } = ok(await latchkey.listSessions({ client }))
  for (const { id, current } of sessions) {
    if (!current) ok(await latchkey.endSession({ client, path: { id } }))
  }
  const { sessions: sessionsLeft } = ok(await latchkey.listSessions({ client }))
  const noSuchSession = refusal(await latchkey.endSession({ client, path: { id: signedUp.id } }))

  // She refreshes. The refresh token is always there, unless it travels in a cookie.
  const { refresh_token = '' } = tokens
  signIn(ok(await latchkey.refresh({ client, body: { refresh_token } })))
  const { sid: sidAfterRefresh } = ok(await latchkey.getMe({ client }))
  const refreshedWithNothing = refusal(await latchkey.refresh({ client, body: { refresh_token: 'lkr_' } }))

  // A new password.
  const new_password = `${ada.password}, again`
  const unknown = { current_password: new_password, new_password }
  const wrongCurrentPassword = refusal(await latchkey.changePassword({ client, body: unknown }))
  const change = { current_password: ada.password, new_password }
  ok(await latchkey.changePassword({ client, body: change }))

  // What happened to her account.
  const ownEvents: string[][] = []
  for (const query: Query<latchkey.ListOwnAuditEventsData> = { limit: 5 }; ; ) {
    const { events, next_cursor } = ok(await latchkey.listOwnAuditEvents({ client, query }))
    ownEvents.push(events.map(({ event }) => event))
    if (next_cursor === null) break
    query.cursor = next_cursor
  }
  const failed = { event: 'login_failed', outcome: 'failure', from: signedUp.created_at } as const
  const { events: failedLogins } = ok(await latchkey.listOwnAuditEvents({ client, query: failed }))
  const noOperator = refusal(await latchkey.listAccounts({ client }))

  // She logs out.
  ok(await latchkey.logOut({ client }))
  const afterLogOut = refusal(await latchkey.getMe({ client }))
  const withoutToken = refusal(await latchkey.getMe({ client: createUser(baseUrl).client }))

  // An operator looks for her.
  const { client: admin, signIn: signInOperator } = createUser(baseUrl)
  signInOperator(ok(await latchkey.logIn({ client: admin, body: operator })))
  const found: latchkey.AdminAccount[][] = []
  for (const query: Query<latchkey.ListAccountsData> = { q: '@example.com', limit: 1 }; ; ) {
    const { accounts, next_cursor } = ok(await latchkey.listAccounts({ client: admin, query }))
    found.push(accounts)
    if (next_cursor === null) break
    query.cursor = next_cursor
  }
  const her = { client: admin, path: { id: signedUp.id } }
  const details = ok(await latchkey.getAccountDetails(her))

  // Nobody lets her in, and then somebody does.
  const disabled = ok(await latchkey.administerAccount({ ...her, body: { status: 'disabled' } }))
  const renewed = { client, body: { email: ada.email, password: new_password } }
  const logInWhileDisabled = refusal(await latchkey.logIn(renewed))
  const enabled = ok(await latchkey.administerAccount({ ...her, body: { status: 'active' } }))
  ok(await latchkey.resetAttempts(her))
  signIn(ok(await latchkey.logIn(renewed)))

  // She is signed out everywhere, comes back, and goes for good.
  ok(await latchkey.signOutAccount(her))
  const afterSignOut = refusal(await latchkey.getAccount({ client }))
  signIn(ok(await latchkey.logIn(renewed)))
  ok(await latchkey.deleteAccount({ client, body: { current_password: new_password } }))
  const afterDeletion = refusal(await latchkey.getAccountDetails(her))
  const disabling = { account: signedUp.id, event: 'account_disabled' } as const
  const audit = ok(await latchkey.listAuditEvents({ client: admin, query: disabling }))
  ok(await latchkey.logOut({ client: admin, body: { scope: 'all' } }))

  // A service hears of what was revoked.
  const { client: service, signIn: signInService } = createUser(baseUrl)
  signInService(ok(await latchkey.exchangeCredential({ client: service, body: { credential } })))
  const feed = ok(await latchkey.getRevocations({ client: service }))

  const { status: alive } = ok(await latchkey.isAlive({ client }))
  const { status: ready } = ok(await latchkey.isReady({ client }))
  const metrics = ok(await latchkey.getMetrics({ client }))

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
