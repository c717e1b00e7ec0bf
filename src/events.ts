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
}

/** Records a named security event. Nothing in its fields is ever a secret. */
export type RecordEvent = (name: SecurityEvent, client: Client, fields: EventFields) => void

/**
 * Writes security events to the log, whatever LOG_LEVEL says: who wants fewer lines still wants these.
 *
 * @param logger the service's logger
 */
export function logEvents(logger: FastifyBaseLogger): RecordEvent {
  const log = logger.child({}, { level: 'info' })
  return (name, client, fields) => {
    log.info({ event: name, ip: client.ip, request_id: client.requestId, ...fields }, name)
  }
}
