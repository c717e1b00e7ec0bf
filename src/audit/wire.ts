import type { z } from 'zod'
import type { AuditPage } from './audit.ts'
import type { SecurityEvent } from './events.ts'
import type { AuditEventBody, AuditPageBody, OwnAuditPageBody } from './schemas.ts'
import type { AuditEvent } from './store.ts'

/** An event as it goes over the wire to operators. */
export function auditEventBody(event: AuditEvent): z.input<typeof AuditEventBody> {
  return { ...commonBody(event), actor: event.actor, subject: event.subject }
}

/** A page of events as it goes over the wire to operators. */
export function auditPageBody({ events, nextCursor }: AuditPage): z.input<typeof AuditPageBody> {
  return { events: events.map(auditEventBody), next_cursor: nextCursor }
}

/** A page of an account's events as it goes over the wire to that account. */
export function ownAuditPageBody({ events, nextCursor }: AuditPage): z.input<typeof OwnAuditPageBody> {
  return { events: events.map(ownBody), next_cursor: nextCursor }
}

function ownBody(event: AuditEvent) {
  const body = commonBody(event)
  if (event.actor === null) return { ...body, by: null }
  if (event.actor === event.subject) return { ...body, by: 'you' as const }
  // Who has to answer to an account is the service: not whoever works for it, nor from where.
  return { ...body, by: 'operator' as const, ip: null, user_agent: null, request_id: null }
}

function commonBody({ id, at, event, outcome, session_id, ip, user_agent, request_id, details }: AuditEvent) {
  return {
    ...{ id, at: new Date(at).toISOString(), event: event as SecurityEvent, outcome },
    ...{ session_id, ip, user_agent, request_id, details: JSON.parse(details) },
  }
}
