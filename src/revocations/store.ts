import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { rolesFrom } from '../database/roles.ts'
import type { Db, Schema, Tx } from '../database/schema.ts'
import { type Cause, KEPT_BEYOND, REVOCATION_LIFE, type Revocation } from '../tokens/revocations.ts'

// A row has five parameters, of which SQLite takes 32,766 in a statement.
const ROWS_AN_INSERT = 1_000
const SWEEP_BATCH = 500

/** Where the feed stands. */
export interface Head {
  /** Which feed it is: another database is another feed. */
  readonly feed: string
  /** The number of the newest revocation. */
  readonly seq: number
}

export type RevocationStore = ReturnType<typeof createRevocationStore>

/** The queries on revocations. Each throws Problem database_unavailable where there is no database. */
export function createRevocationStore(db: Db) {
  return {
    async head(): Promise<Head> {
      return db
        .selectFrom('revocation_head')
        .select(['feed', 'seq'])
        .where('id', '=', 1)
        .executeTakeFirstOrThrow()
    },

    /** Makes another feed of it, unless somebody else has. @param feed which it was */
    async renew(feed: string): Promise<void> {
      await db
        .updateTable('revocation_head')
        .set({ feed: randomUUID() })
        .where('id', '=', 1)
        .where('feed', '=', feed)
        .execute()
    },

    /** @returns the revocations that come after, in the order of commits, at most `limit` */
    async after(seq: number, limit: number): Promise<Revocation[]> {
      const rows = await db
        .selectFrom('revocations')
        .selectAll()
        .where('seq', '>', seq)
        .orderBy('seq')
        .limit(limit)
        .execute()
      return rows.map(revocationFrom)
    },

    /** @returns the number of the oldest revocation that is kept; undefined if none is */
    async oldest(): Promise<number | undefined> {
      const row = await db.selectFrom('revocations').select('seq').orderBy('seq').limit(1).executeTakeFirst()
      return row?.seq
    },

    /** Deletes what no token needs any more, a bounded batch at a time. @returns how many; a full batch means: again */
    async sweep(now: number): Promise<{ deleted: number; full: boolean }> {
      const rows = await db
        .deleteFrom('revocations')
        .where('seq', 'in', (q) =>
          q
            .selectFrom('revocations')
            .select('seq')
            .where('revoked_at', '<', now - REVOCATION_LIFE - KEPT_BEYOND)
            .orderBy('revoked_at')
            .limit(SWEEP_BATCH),
        )
        .returning('seq')
        .execute()
      return { deleted: rows.length, full: rows.length === SWEEP_BATCH }
    },
  }
}

/**
 * Writes revocations in the transaction of what caused them: they are committed together or not at all. From here to the
 * commit the head is locked, so of two transactions that revoke the one with the lower numbers commits first, and a
 * reader who has seen a number has seen all below it. After it a transaction may wait for nothing that another holds.
 *
 * @param now milliseconds since 1970
 * @returns them with their numbers, to be applied once the transaction has been committed
 */
export async function revoke(tx: Tx, causes: readonly Cause[], now: number): Promise<readonly Revocation[]> {
  if (causes.length === 0) return []
  const last = await lockHead(tx, causes.length)
  const first = last - causes.length + 1
  const revocations = causes.map((cause, index) => ({ ...cause, seq: first + index, revokedAt: now }))
  for (let from = 0; from < revocations.length; from += ROWS_AN_INSERT) {
    const rows = revocations.slice(from, from + ROWS_AN_INSERT).map(rowOf)
    await tx.insertInto('revocations').values(rows).execute()
  }
  return revocations
}

/**
 * Holds the head until the transaction ends: of the transactions that do so, one comes after the other.
 *
 * @param numbers how many numbers it takes
 * @returns the last one
 */
export async function lockHead(tx: Tx, numbers: number): Promise<number> {
  const { seq } = await tx
    .updateTable('revocation_head')
    .set((row) => ({ seq: row('seq', '+', numbers) }))
    .where('id', '=', 1)
    .returning('seq')
    .executeTakeFirstOrThrow()
  return seq
}

function rowOf(revocation: Revocation): Schema['revocations'] {
  const { seq, revokedAt: revoked_at } = revocation
  return 'sessionId' in revocation
    ? { seq, session_id: revocation.sessionId, account_id: null, roles: null, revoked_at }
    : {
        seq,
        session_id: null,
        account_id: revocation.accountId,
        roles: revocation.roles.join(' '),
        revoked_at,
      }
}

function revocationFrom(row: Selectable<Schema['revocations']>): Revocation {
  const { seq, session_id: sessionId, account_id: accountId, revoked_at: revokedAt } = row
  if (sessionId !== null) return { seq, sessionId, revokedAt }
  return { seq, accountId: accountId as string, roles: rolesFrom(row.roles || null), revokedAt }
}
