import { createHash } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import type { AttemptsTable, Db, Tx } from '../database/schema.ts'
import { FORGOTTEN_AFTER, SKEW, WINDOW, waitAfter } from './limits.ts'

const SWEEP_BATCH = 500

export type Attempts = Selectable<AttemptsTable>

/** What is counted: a hash of it. */
export type Key = Buffer

/** A row that belongs to an account, and by what it is reset together with others of it. */
export type Counter = { readonly key: Key; readonly subject: Key }

/** @param parts what tells it from everything else that is counted */
export function keyOf(...parts: readonly string[]): Key {
  return createHash('sha256').update(JSON.stringify(parts)).digest()
}

export type AttemptStore = ReturnType<typeof createAttemptStore>

/** The queries on attempts. Times are milliseconds since 1970. Each throws Problem database_unavailable where there is no database. */
export function createAttemptStore(db: Db) {
  return {
    /** For what happens outside a transaction. */
    db,

    /** @returns the rows of the keys in their order; undefined where nothing is known */
    async read(keys: readonly Key[]): Promise<readonly (Attempts | undefined)[]> {
      const rows = await db.selectFrom('attempts').selectAll().where('key', 'in', keys).execute()
      return keys.map((key) => rows.find((row) => key.equals(row.key)))
    },

    /** Counts a failure of an address, or whatever else is counted in a window: it ends a minute after its first. */
    async countInWindow(
      to: Db | Tx,
      key: Key,
      now: number,
    ): Promise<Pick<Attempts, 'failures' | 'expires_at'>> {
      const row = { key, subject: null, failures: 1, blocked_until: 0, expires_at: now + WINDOW }
      const isOpen = sql`attempts.expires_at > ${now} and attempts.expires_at <= ${now + WINDOW + SKEW}`
      return to
        .insertInto('attempts')
        .values(row)
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet({
            failures: sql<number>`case when ${isOpen} then attempts.failures + 1 else 1 end`,
            expires_at: sql<number>`case when ${isOpen} then attempts.expires_at else ${row.expires_at} end`,
          }),
        )
        .returning(['failures', 'expires_at'])
        .executeTakeFirstOrThrow()
    },

    /** Counts a failure at an account. @returns how many there are */
    async count(tx: Tx, { key, subject }: Counter, now: number): Promise<number> {
      const expires_at = now + FORGOTTEN_AFTER
      const { failures } = await tx
        .insertInto('attempts')
        .values({ key, subject, failures: 1, blocked_until: 0, expires_at })
        .onConflict((conflict) =>
          conflict.column('key').doUpdateSet({
            failures: sql<number>`case when attempts.expires_at > ${now} then attempts.failures + 1 else 1 end`,
            expires_at,
          }),
        )
        .returning('failures')
        .executeTakeFirstOrThrow()
      const blocked_until = now + waitAfter(failures)
      if (blocked_until > now) {
        await tx.updateTable('attempts').set({ blocked_until }).where('key', '=', key).execute()
      }
      return failures
    },

    /**
     * Counts a failure at an account before it happens, on the condition that the row is still as it was read: of
     * several that try at once one may.
     *
     * @returns how many there are; undefined where another one came first
     */
    async claim({ key, ...row }: Attempts, now: number): Promise<number | undefined> {
      const failures = row.failures + 1
      const claimed = await db
        .updateTable('attempts')
        .set({ failures, blocked_until: now + waitAfter(failures), expires_at: now + FORGOTTEN_AFTER })
        .where('key', '=', key)
        .where('failures', '=', row.failures)
        .where('blocked_until', '=', row.blocked_until)
        .returning('failures')
        .executeTakeFirst()
      return claimed?.failures
    },

    /** Keeps that somebody has been here. */
    async remember(to: Db | Tx, { key, subject }: Counter, expires_at: number): Promise<void> {
      await to
        .insertInto('attempts')
        .values({ key, subject, failures: 0, blocked_until: 0, expires_at })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ expires_at }))
        .execute()
    },

    async forget(to: Db | Tx, key: Key): Promise<void> {
      await to.deleteFrom('attempts').where('key', '=', key).execute()
    },

    /** Forgets all rows of these. */
    async reset(tx: Tx, subjects: readonly Key[]): Promise<void> {
      await tx.deleteFrom('attempts').where('subject', 'in', subjects).execute()
    },

    /** Deletes what is needed no more, a bounded batch at a time. @returns how many; a full batch means: again */
    async sweep(now: number): Promise<{ deleted: number; full: boolean }> {
      const rows = await db
        .deleteFrom('attempts')
        .where('key', 'in', (q) =>
          q
            .selectFrom('attempts')
            .select('key')
            .where('expires_at', '<=', now)
            .orderBy('expires_at')
            .limit(SWEEP_BATCH),
        )
        // Once more, for one that was counted anew while this waited for its row.
        .where('expires_at', '<=', now)
        .returning('key')
        .execute()
      return { deleted: rows.length, full: rows.length === SWEEP_BATCH }
    },
  }
}
