import { randomUUID } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { type Dialect, REVOCATIONS_CHANNEL } from '../schema.ts'

/** Revocations in commit order, credentials of service accounts, and what operators search by. */
export function revocations(dialect: Dialect) {
  const uuid = dialect === 'postgres' ? 'uuid' : 'text'
  const time = dialect === 'postgres' ? 'bigint' : 'integer'
  const counter = dialect === 'postgres' ? 'bigint' : 'integer'

  return {
    async up(db: Kysely<unknown>): Promise<void> {
      // In the order in which nodes that run meanwhile lock them: in another one both would wait for each other.
      if (dialect === 'postgres') {
        await sql`lock table accounts, account_roles, sessions in access exclusive mode`.execute(db)
      }
      await db.schema
        .createTable('revocation_head')
        .addColumn('id', 'integer', (c) => c.primaryKey().check(sql`id = 1`))
        .addColumn('seq', counter, (c) => c.notNull())
        .addColumn('feed', 'text', (c) => c.notNull())
        .execute()
      await sql`insert into revocation_head (id, seq, feed) values (1, 0, ${randomUUID()})`.execute(db)

      await db.schema
        .createTable('revocations')
        .addColumn('seq', counter, (c) => c.primaryKey())
        .addColumn('session_id', uuid)
        .addColumn('account_id', uuid)
        .addColumn('roles', 'text')
        .addColumn('revoked_at', time, (c) => c.notNull())
        .addCheckConstraint('revocations_cause', sql`(session_id is null) = (account_id is not null)`)
        .execute()
      await db.schema.createIndex('revocations_by_time').on('revocations').column('revoked_at').execute()
      if (dialect === 'postgres') await notifyOnInsert(db)

      await db.schema
        .alterTable('sessions')
        .addColumn('kind', 'text', (c) =>
          c.notNull().defaultTo('login').check(sql`kind in ('login', 'credential')`),
        )
        .execute()
      await db.schema.alterTable('sessions').addColumn('scope', 'text').execute()

      await db.schema
        .alterTable('accounts')
        .addColumn('kind', 'text', (c) =>
          c.notNull().defaultTo('person').check(sql`kind in ('person', 'service')`),
        )
        .execute()
      await db.schema
        .alterTable('accounts')
        .addColumn('search_key', 'text', (c) => c.notNull().defaultTo(''))
        .execute()
      await fillSearchKeys(db)

      await db.schema.createIndex('accounts_by_status').on('accounts').columns(['status', 'id']).execute()
      await db.schema
        .createIndex('account_roles_by_role')
        .on('account_roles')
        .columns(['role', 'account_id'])
        .execute()
    },
  }
}

// A trigger, so that nothing that writes a revocation can forget to say so. PostgreSQL delivers it at the commit, and
// the same one once a transaction.
async function notifyOnInsert(db: Kysely<unknown>): Promise<void> {
  await sql`
    create function latchkey_notify_revocations() returns trigger language plpgsql as $$
    begin
      perform pg_notify(${sql.lit(REVOCATIONS_CHANNEL)}, '');
      return null;
    end $$
  `.execute(db)
  await sql`
    create trigger revocations_notify after insert on revocations
    for each statement execute function latchkey_notify_revocations()
  `.execute(db)
}

interface Named {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly search_key: string
}

const NAMED_AT_ONCE = 1_000

// The database lowers most of them, and quickly. SQLite knows ASCII alone, and PostgreSQL what its locale knows: so all
// are looked at, and those that came out otherwise are written anew. No statement may take a minute, so each does a few.
async function fillSearchKeys(db: Kysely<unknown>): Promise<void> {
  let after = '00000000-0000-0000-0000-000000000000'
  for (;;) {
    const { rows } = await sql<Named>`
      update accounts set search_key = lower(email) || ${sql.lit('\n')} || lower(coalesce(name, ''))
      where id in (select id from accounts where id > ${after} order by id limit ${NAMED_AT_ONCE})
      returning id, email, name, search_key
    `.execute(db)
    for (const { id, email, name, search_key } of rows) {
      const key = `${email}\n${name ?? ''}`.normalize('NFC').toLowerCase()
      if (key !== search_key) await sql`update accounts set search_key = ${key} where id = ${id}`.execute(db)
      if (id > after) after = id
    }
    if (rows.length < NAMED_AT_ONCE) return
  }
}
