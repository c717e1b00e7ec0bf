/**
 * What happens to accounts and sessions that somebody may have to answer for later. Of what a stranger did it isn't
 * known who did it, but at most to which account.
 */
export const securityEvents = {
  signup: { outcome: 'success' },
  login: { outcome: 'success' },
  login_failed: { outcome: 'failure', by: 'stranger' },
  logout: { outcome: 'success' },
  refresh_reused: { outcome: 'failure', by: 'stranger' },
  session_ended: { outcome: 'success' },
  password_check_failed: { outcome: 'failure' },
  password_changed: { outcome: 'success' },
  email_changed: { outcome: 'success' },
  account_deleted: { outcome: 'success' },
  // What operators do.
  accounts_listed: { outcome: 'success' },
  account_read: { outcome: 'success' },
  account_created: { outcome: 'success' },
  account_disabled: { outcome: 'success' },
  account_enabled: { outcome: 'success' },
  account_roles_changed: { outcome: 'success' },
  account_renamed: { outcome: 'success' },
  account_signed_out: { outcome: 'success' },
  attempts_reset: { outcome: 'success' },
  audit_read: { outcome: 'success' },
  credential_created: { outcome: 'success' },
} as const satisfies Record<string, SecurityEventKind>

interface SecurityEventKind {
  readonly outcome: Outcome
  readonly by?: 'stranger'
}

export type Outcome = 'success' | 'failure'

export type SecurityEvent = keyof typeof securityEvents

/** From where a request came, as far as events and sessions keep it. */
export interface Client {
  readonly ip: string
  readonly userAgent: string | null
  readonly requestId: string
}

/** What is to be said of an event. Nothing in it is ever a secret. */
export interface EventFields {
  /** Whom it concerns, and who did it unless it was a stranger; absent where the address is unknown. */
  readonly account_id?: string
  readonly session_id?: string
  /** How many sessions ended with it. */
  readonly sessions_ended?: number
  readonly reason?: string
  /** How many attempts failed in a row, this one included. */
  readonly failures?: number
  /** The account of the operator who did it, or COMMAND_LINE. */
  readonly actor?: string
  /** The account that the operator did it to. */
  readonly subject?: string
  readonly roles_before?: readonly string[]
  readonly roles_after?: readonly string[]
  readonly scopes?: readonly string[]
  /** How many accounts an operator was shown. */
  readonly accounts?: number
  /** How many events an operator was shown. */
  readonly events?: number
}

/** The actor of what is done on the command line: whoever has the database. */
export const COMMAND_LINE = 'cli'
