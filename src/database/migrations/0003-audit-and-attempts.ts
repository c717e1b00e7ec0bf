import type { Kysely } from 'kysely'
import type { Dialect } from '../schema.ts'

/** The audit trail, and the counters of failed attempts. */
export function auditAndAttempts(dialect: Dialect) {
  const uuid = dialect === 'postgres' ? 'uuid' : 'text'
  const time = dialect === 'postgres' ? 'bigint' : 'integer'
  const bytes = dialect === 'postgres' ? 'bytea' : 'blob'

  return {
    async up(db: Kysely<unknown>): Promise<void> {
      // No foreign keys: what was done to an account is known longer than the account is. The ids are in the order of time.
      await db.schema
        .createTable('audit_events')
        .addColumn('id', uuid, (c) => c.primaryKey())
        .addColumn('at', time, (c) => c.notNull())
        .addColumn('event', 'text', (c) => c.notNull())
        .addColumn('outcome', 'text', (c) => c.notNull())
        .addColumn('actor', 'text')
        .addColumn('subject', uuid)
        .addColumn('session_id', uuid)
        .addColumn('ip', 'text')
        .addColumn('user_agent', 'text')
        .addColumn('request_id', 'text')
        .addColumn('details', 'text', (c) => c.notNull())
        .execute()
      for (const column of ['subject', 'actor', 'ip', 'event', 'outcome']) {
        await db.schema
          .createIndex(`audit_events_by_${column}`)
          .on('audit_events')
          .columns([column, 'id'])
          .execute()
      }

      await db.schema
        .createTable('attempts')
        .addColumn('key', bytes, (c) => c.primaryKey())
        .addColumn('subject', bytes)
        .addColumn('failures', 'integer', (c) => c.notNull())
        .addColumn('blocked_until', time, (c) => c.notNull())
        .addColumn('expires_at', time, (c) => c.notNull())
        .execute()
      await db.schema.createIndex('attempts_by_subject').on('attempts').column('subject').execute()
      await db.schema.createIndex('attempts_by_expiry').on('attempts').column('expires_at').execute()
    },
  }
}
