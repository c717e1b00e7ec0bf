import { randomUUIDv7 } from 'node:crypto'
import { eventId } from '../../src/audit/event-id.ts'
import type { AuditEvent } from '../../src/audit/store.ts'
import type { Db } from '../../src/database/schema.ts'
import { NOON } from './rows.ts'

const ROWS_AN_INSERT = 1_000

/** An event as the store takes it, of a time in milliseconds since 1970. */
export function someEvent(at = NOON, differing: Partial<AuditEvent> = {}): AuditEvent {
  const account = randomUUIDv7()
  return {
    id: eventId(at),
    at,
    event: 'login',
    outcome: 'success',
    actor: account,
    subject: account,
    session_id: randomUUIDv7(),
    ip: '192.0.2.1',
    user_agent: null,
    request_id: 'a-request',
    details: '{}',
    ...differing,
  }
}

export async function insertEvents(db: Db, events: readonly AuditEvent[]): Promise<void> {
  for (let from = 0; from < events.length; from += ROWS_AN_INSERT) {
    await db
      .insertInto('audit_events')
      .values(events.slice(from, from + ROWS_AN_INSERT))
      .execute()
  }
}

/** Every event of the trail, the oldest first. */
export async function allEvents(db: Db): Promise<AuditEvent[]> {
  return db.selectFrom('audit_events').selectAll().orderBy('id').execute()
}
