import type { FastifyBaseLogger } from 'fastify'
import type { Db, Tx } from '../database/schema.ts'
import { afterCommit } from '../database/transaction.ts'
import { eventId } from './event-id.ts'
import { type Client, type EventFields, type SecurityEvent, securityEvents } from './events.ts'
import { type AuditEvent, insertEvent } from './store.ts'

/** Where security events are written: into the audit trail, and into the log. There is no client on the command line. */
export interface Trail {
  /**
   * Records an event that changes nothing else.
   *
   * @throws Problem database_unavailable where it can't be written; it is in the log all the same
   */
  record(name: SecurityEvent, client: Client | undefined, fields: EventFields): Promise<void>
  /**
   * Records an event in the transaction of what it tells of: they are committed together or not at all, and logged after
   * that. It waits for nothing that another transaction holds.
   *
   * @param tx what transact() gave
   */
  recordIn(tx: Tx, name: SecurityEvent, client: Client | undefined, fields: EventFields): Promise<void>
}

export interface TrailParts {
  readonly db: Db
  /** The service's logger. Events are logged whatever LOG_LEVEL says: who wants fewer lines still wants these. */
  readonly log: FastifyBaseLogger
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** Writes security events. */
export function createTrail({ db, log, clock }: TrailParts): Trail {
  const lines = log.child({}, { level: 'info' })

  function say(name: SecurityEvent, client: Client | undefined, fields: EventFields): void {
    const from = client && { ip: client.ip, request_id: client.requestId }
    lines.info({ event: name, ...from, ...fields }, name)
  }

  return {
    async record(name, client, fields) {
      say(name, client, fields)
      await insertEvent(db, rowOf(name, client, fields, clock()))
    },
    async recordIn(tx, name, client, fields) {
      await insertEvent(tx, rowOf(name, client, fields, clock()))
      afterCommit(tx, () => say(name, client, fields))
    },
  }
}

function rowOf(
  event: SecurityEvent,
  client: Client | undefined,
  { account_id, session_id, actor, subject, ...details }: EventFields,
  at: number,
): AuditEvent {
  const kind = securityEvents[event]
  const doer = 'by' in kind ? undefined : account_id
  return {
    ...{ id: eventId(at), at, event, outcome: kind.outcome },
    actor: actor ?? doer ?? null,
    subject: subject ?? account_id ?? null,
    session_id: session_id ?? null,
    ip: client?.ip ?? null,
    user_agent: client?.userAgent ?? null,
    request_id: client?.requestId ?? null,
    details: JSON.stringify(details),
  }
}
