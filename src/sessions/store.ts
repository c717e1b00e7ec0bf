import type { Insertable, Selectable } from 'kysely'
import { type Given, prepare } from '../database/prepared.ts'
import { rolesColumn, rolesFrom } from '../database/roles.ts'
import type { AccountKind, AccountStatus, Db, SessionsTable, Tx } from '../database/schema.ts'
import { groupWrites, transact, type Within } from '../database/transaction.ts'
import { revoke } from '../revocations/store.ts'
import type { Revocation } from '../tokens/revocations.ts'

export type NewSession = Insertable<SessionsTable>
export type Session = Selectable<SessionsTable>

/** What a login needs to know of an account. */
export interface Credentials {
  readonly id: string
  readonly passwordHash: string
  readonly status: AccountStatus
  readonly roles: readonly string[]
}

/** A session together with what its account may do now. */
export type OpenSession = Session & {
  readonly account_kind: AccountKind
  readonly status: AccountStatus
  readonly roles: readonly string[]
}

/** What a rotation writes into the row of a session. */
export type Rotation = Pick<Session, 'rotation_salt' | 'secret_hash' | 'rotated_at' | 'expires_at'>

/** Which sessions of an account: one, all but one, or all. */
export type Which = { readonly only: string } | { readonly except: string } | 'all'

export type SessionStore = ReturnType<typeof createSessionStore>

const SWEEP_BATCH = 500

/** Milliseconds for which whoever has a token of a session that ended with its account's being disabled is told so. */
const TOLD_FOR = 3_600_000

// In place of the hash of its secret, in the row that is left of such a session: no secret has it.
const ENDED = Buffer.alloc(32)

/** Whether a row is but what is left of a session. */
export function isLeftover({ secret_hash }: Pick<Session, 'secret_hash'>): boolean {
  return ENDED.equals(secret_hash)
}

/** The queries on sessions. Each throws Problem database_unavailable where there is no database. */
export function createSessionStore(db: Db) {
  const write = groupWrites(db)

  const existing = prepare((given: Given<Pick<Session, 'id'>>) =>
    db.selectFrom('sessions').select('id').where('id', '=', given('id')).where('secret_hash', '!=', ENDED),
  )
  const withAccount = prepare((given: Given<Pick<Session, 'id'>>) =>
    db
      .selectFrom('sessions')
      .innerJoin('accounts', 'accounts.id', 'sessions.account_id')
      .selectAll('sessions')
      .select(['accounts.status', 'accounts.kind as account_kind', rolesColumn])
      .where('sessions.id', '=', given('id')),
  )
  const rotation = prepare((given: Given<Rotation & { id: string; from_hash: Uint8Array }>) =>
    db
      .updateTable('sessions')
      .set({
        rotation_salt: given('rotation_salt'),
        secret_hash: given('secret_hash'),
        rotated_at: given('rotated_at'),
        last_used_at: given('rotated_at'),
        expires_at: given('expires_at'),
      })
      .where('id', '=', given('id'))
      .where('secret_hash', '=', given('from_hash'))
      .returning('id'),
  )
  const use = prepare((given: Given<{ id: string; secret_hash: Uint8Array; now: number }>) =>
    db
      .updateTable('sessions')
      .set({ last_used_at: given('now') })
      .where('id', '=', given('id'))
      .where('kind', '=', 'credential')
      .where('secret_hash', '=', given('secret_hash'))
      .where('expires_at', '>', given('now'))
      .returning('id'),
  )

  return {
    async findCredentials(emailKey: string): Promise<Credentials | undefined> {
      const row = await db
        .selectFrom('accounts')
        .select(['id', 'password_hash as passwordHash', 'status', rolesColumn])
        .where('email_key', '=', emailKey)
        .where('kind', '=', 'person')
        .executeTakeFirst()
      return row && { ...row, roles: rolesFrom(row.roles) }
    },

    /**
     * Opens a session, on the condition that the account is active and its password is still the one that was proved.
     * The update takes the account's row lock, so that a change of password beside it ends this session too or
     * prevents it.
     *
     * @param rehashed the same password under today's parameters, or the proved hash once more
     * @returns whether it was opened
     */
    async open(session: NewSession, provedHash: string, rehashed: string, within: Within): Promise<boolean> {
      return transact(db, async (tx) => {
        const account = await tx
          .updateTable('accounts')
          .set({ password_hash: rehashed })
          .where('id', '=', session.account_id)
          .where('password_hash', '=', provedHash)
          .where('status', '=', 'active')
          .returning('id')
          .executeTakeFirst()
        if (account === undefined) return false
        await insertSession(tx, session)
        await within(tx)
        return true
      })
    },

    async exists(id: string): Promise<boolean> {
      const rows = await existing(db, { id })
      return rows.length > 0
    },

    async find(id: string): Promise<OpenSession | undefined> {
      const [row] = await withAccount(db, { id })
      return row && { ...row, roles: rolesFrom(row.roles) }
    },

    /** @returns whether this rotation took place: false if another one, or a logout, came first */
    async rotate(id: string, fromHash: Uint8Array, to: Rotation): Promise<boolean> {
      const rows = await write((own) => rotation(own, { id, from_hash: fromHash, ...to }))
      return rows.length > 0
    },

    /** @returns the account's sessions that have not expired, the last used first, at most `limit` */
    async list(accountId: string, now: number, limit: number): Promise<Session[]> {
      return db
        .selectFrom('sessions')
        .selectAll()
        .where('account_id', '=', accountId)
        .where('expires_at', '>', now)
        .where('secret_hash', '!=', ENDED)
        .orderBy('last_used_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
    },

    /**
     * Notes that a credential is used now, on the condition that its secret is the right one and that it hasn't expired.
     *
     * @returns whether it may be used
     */
    async useCredential(id: string, secretHash: Uint8Array, now: number): Promise<boolean> {
      const rows = await write((own) => use(own, { id, secret_hash: secretHash, now }))
      return rows.length > 0
    },

    /**
     * Ends sessions, and revokes their tokens in the same transaction.
     *
     * @param now milliseconds since 1970
     * @param revokeAlso a session whose tokens are revoked even where it has ended already
     * @returns the revocations, to be applied
     */
    async end(
      accountId: string,
      which: Which,
      now: number,
      within: Within<EndedSessions>,
      revokeAlso?: string,
    ): Promise<EndedSessions> {
      return transact(db, async (tx) => {
        const ended = await endSessions(tx, accountId, which, now, revokeAlso)
        await within(tx, ended)
        return ended
      })
    },

    /** Deletes expired sessions, a bounded batch at a time. @returns how many it deleted; a full batch means: again */
    async sweep(now: number): Promise<{ deleted: number; full: boolean }> {
      const rows = await db
        .deleteFrom('sessions')
        .where('id', 'in', (q) =>
          q
            .selectFrom('sessions')
            .select('id')
            .where('expires_at', '<=', now)
            .orderBy('expires_at')
            .limit(SWEEP_BATCH),
        )
        // Once more, for one that was refreshed while this waited for its row.
        .where('expires_at', '<=', now)
        .returning('id')
        .execute()
      return { deleted: rows.length, full: rows.length === SWEEP_BATCH }
    },
  }
}

export async function insertSession(db: Db | Tx, session: NewSession): Promise<void> {
  await db.insertInto('sessions').values(session).execute()
}

/** What came of ending sessions. */
export interface EndedSessions {
  /** How many ended. */
  readonly count: number
  /** To be applied once the transaction has been committed. */
  readonly revocations: readonly Revocation[]
}

/** Does what the store's end() does, in a transaction that does more. Nothing may be locked in it afterwards. */
export async function endSessions(
  tx: Tx,
  accountId: string,
  which: Which,
  now: number,
  revokeAlso?: string,
): Promise<EndedSessions> {
  let query = tx.deleteFrom('sessions').where('account_id', '=', accountId).where('secret_hash', '!=', ENDED)
  if (which !== 'all') {
    query = 'only' in which ? query.where('id', '=', which.only) : query.where('id', '!=', which.except)
  }
  const rows = await query.returning('id').execute()
  const ids = new Set(rows.map((row) => row.id))
  if (revokeAlso !== undefined) ids.add(revokeAlso)
  return { count: rows.length, revocations: await revoke(tx, causesOf(ids), now) }
}

/**
 * Ends all sessions and credentials of an account that is disabled. The rows of sessions are left for an hour, for a
 * refresh to tell why they have ended. Nothing may be locked in the transaction afterwards.
 */
export async function endWithAccount(tx: Tx, accountId: string, now: number): Promise<EndedSessions> {
  const credentials = await tx
    .deleteFrom('sessions')
    .where('account_id', '=', accountId)
    .where('kind', '=', 'credential')
    .returning('id')
    .execute()
  const logins = await tx
    .updateTable('sessions')
    .set({ expires_at: now + TOLD_FOR, secret_hash: ENDED, rotation_salt: null })
    .where('account_id', '=', accountId)
    .where('secret_hash', '!=', ENDED)
    .returning('id')
    .execute()
  const ids = [...credentials, ...logins].map((row) => row.id)
  return { count: ids.length, revocations: await revoke(tx, causesOf(ids), now) }
}

const causesOf = (ids: Iterable<string>) => [...ids].map((sessionId) => ({ sessionId }))
