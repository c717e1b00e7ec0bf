import { type Kysely, sql } from 'kysely'
import type { Dialect } from '../schema.ts'

export function accountsAndSessions(dialect: Dialect) {
  const uuid = dialect === 'postgres' ? 'uuid' : 'text'
  const bytes = dialect === 'postgres' ? 'bytea' : 'blob'
  const time = dialect === 'postgres' ? 'bigint' : 'integer'

  return {
    async up(db: Kysely<unknown>): Promise<void> {
      await db.schema
        .createTable('accounts')
        .addColumn('id', uuid, (c) => c.primaryKey())
        .addColumn('email', 'text', (c) => c.notNull())
        .addColumn('email_key', 'text', (c) => c.notNull().unique())
        .addColumn('name', 'text')
        .addColumn('password_hash', 'text', (c) => c.notNull())
        .addColumn('status', 'text', (c) => c.notNull().check(sql`status in ('active', 'disabled')`))
        .addColumn('created_at', time, (c) => c.notNull())
        .addColumn('updated_at', time, (c) => c.notNull())
        .execute()

      await db.schema
        .createTable('account_roles')
        .addColumn('account_id', uuid, (c) => c.notNull().references('accounts.id').onDelete('cascade'))
        .addColumn('role', 'text', (c) => c.notNull())
        .addPrimaryKeyConstraint('account_roles_pk', ['account_id', 'role'])
        .execute()

      await db.schema
        .createTable('sessions')
        .addColumn('id', uuid, (c) => c.primaryKey())
        .addColumn('account_id', uuid, (c) => c.notNull().references('accounts.id').onDelete('cascade'))
        .addColumn('seal_key', bytes, (c) => c.notNull())
        .addColumn('secret_hash', bytes, (c) => c.notNull())
        .addColumn('rotation_salt', bytes)
        .addColumn('rotated_at', time, (c) => c.notNull())
        .addColumn('created_at', time, (c) => c.notNull())
        .addColumn('last_used_at', time, (c) => c.notNull())
        .addColumn('expires_at', time, (c) => c.notNull())
        .addColumn('ip', 'text', (c) => c.notNull())
        .addColumn('user_agent', 'text')
        .execute()

      await db.schema
        .createIndex('sessions_by_account')
        .on('sessions')
        .columns(['account_id', 'last_used_at'])
        .execute()
      await db.schema.createIndex('sessions_by_expiry').on('sessions').column('expires_at').execute()
    },
  }
}
