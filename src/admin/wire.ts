import type { z } from 'zod'
import type { Account } from '../accounts/store.ts'
import { accountBody } from '../accounts/wire.ts'
import { sessionBody } from '../sessions/wire.ts'
import type { AccountDetails, AccountPage } from './admin.ts'
import type { AccountDetailsBody, AccountPageBody, AdminAccountBody } from './schemas.ts'

/** An account as it goes over the wire to operators. */
export function adminAccountBody(account: Account): z.input<typeof AdminAccountBody> {
  return { ...accountBody(account), email: account.email || null, kind: account.kind }
}

/** A page of accounts as it goes over the wire. */
export function accountPageBody({ accounts, nextCursor }: AccountPage): z.input<typeof AccountPageBody> {
  return { accounts: accounts.map(adminAccountBody), next_cursor: nextCursor }
}

/**
 * An account and its sessions as they go over the wire.
 *
 * @param sid the session that asks, or COMMAND_LINE
 */
export function accountDetailsBody(
  { account, sessions, loginBlockedUntil }: AccountDetails,
  sid: string,
): z.input<typeof AccountDetailsBody> {
  return {
    ...adminAccountBody(account),
    login_blocked_until: loginBlockedUntil === undefined ? null : new Date(loginBlockedUntil).toISOString(),
    sessions: sessions.map((session) => ({
      ...sessionBody(session, { sid }),
      kind: session.kind,
      scope: session.scope,
    })),
  }
}
