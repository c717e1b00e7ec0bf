import type { FastifyBaseLogger } from 'fastify'

/** What happens to accounts and sessions that somebody may have to answer for later. */
export type SecurityEvent =
  | 'signup'
  | 'login'
  | 'login_failed'
  | 'logout'
  | 'refresh_reused'
  | 'session_ended'
  | 'password_check_failed'
  | 'password_changed'
  | 'email_changed'
  | 'account_deleted'
  | OperatorEvent

/** What operators do. */
export type OperatorEvent =
  | 'accounts_listed'
  | 'account_read'
  | 'account_created'
  | 'account_disabled'
  | 'account_enabled'
  | 'account_roles_changed'
  | 'account_renamed'
  | 'account_signed_out'
  | 'credential_created'

/** From where a request came, as far as events and sessions keep it. */
export interface Client {
  readonly ip: string
  readonly userAgent: string | null
  readonly requestId: string
}

export interface EventFields {
  /** Whom it concerns; absent where the address is unknown. */
  readonly account_id?: string
  readonly session_id?: string
  /** How many sessions ended with it. */
  readonly sessions_ended?: number
  readonly reason?: string
  /** The account of the operator who did it, or COMMAND_LINE. */
  readonly actor?: string
  /** The account that the operator did it to. */
  readonly subject?: string
  readonly roles_before?: readonly string[]
  readonly roles_after?: readonly string[]
  readonly scopes?: readonly string[]
  /** How many accounts an operator was shown. */
  readonly accounts?: number
}

/** The actor of what is done on the command line: whoever has the database. */
export const COMMAND_LINE = 'cli'

/** Records a named security event. Nothing in its fields is ever a secret. There is no client on the command line. */
export type RecordEvent = (name: SecurityEvent, client: Client | undefined, fields: EventFields) => void

/**
 * Writes security events to the log, whatever LOG_LEVEL says: who wants fewer lines still wants these.
 *
 * @param logger the service's logger
 */
export function logEvents(logger: FastifyBaseLogger): RecordEvent {
  const log = logger.child({}, { level: 'info' })
  return (name, client, fields) => {
    const from = client && { ip: client.ip, request_id: client.requestId }
    log.info({ event: name, ...from, ...fields }, name)
  }
}
