import type { Selectable, Updateable } from 'kysely'
import { isUniqueViolation } from '../database/errors.ts'
import { rolesColumn, rolesFrom } from '../database/roles.ts'
import type { AccountStatus, AccountsTable, Db, Tx } from '../database/schema.ts'
import { endSessions, insertSession, type NewSession } from '../sessions/store.ts'

export interface Account {
  readonly id: string
  readonly email: string
  readonly name: string | null
  readonly status: AccountStatus
  readonly roles: readonly string[]
  readonly passwordHash: string
  /** Milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}

/** What may be changed of an account by itself. */
export interface AccountChange {
  readonly name?: string | null | undefined
  readonly email?: { readonly address: string; readonly key: string } | undefined
}

export type AccountStore = ReturnType<typeof createAccountStore>

/** The queries on accounts. Each throws Problem database_unavailable where there is no database. */
export function createAccountStore(db: Db) {
  return {
    async find(id: string): Promise<Account | undefined> {
      const row = await db
        .selectFrom('accounts')
        .selectAll()
        .select(rolesColumn)
        .where('id', '=', id)
        .executeTakeFirst()
      return row && accountFrom(row)
    },

    async isTaken(emailKey: string): Promise<boolean> {
      const row = await db
        .selectFrom('accounts')
        .select('id')
        .where('email_key', '=', emailKey)
        .executeTakeFirst()
      return row !== undefined
    },

    /**
     * Stores an account, with a session of its own if there is one, in one transaction.
     *
     * @returns whether it was stored: false if the address has an account
     */
    async create(account: Account, emailKey: string, session?: NewSession): Promise<boolean> {
      return db.transaction().execute(async (tx) => {
        const { numInsertedOrUpdatedRows } = await tx
          .insertInto('accounts')
          .values({
            id: account.id,
            email: account.email,
            email_key: emailKey,
            name: account.name,
            password_hash: account.passwordHash,
            status: account.status,
            created_at: account.createdAt,
            updated_at: account.updatedAt,
          })
          .onConflict((conflict) => conflict.column('email_key').doNothing())
          .executeTakeFirst()
        if (numInsertedOrUpdatedRows === 0n) return false
        await tx
          .insertInto('account_roles')
          .values(account.roles.map((role) => ({ account_id: account.id, role })))
          .execute()
        if (session !== undefined) await insertSession(tx, session)
        return true
      })
    },

    /**
     * Changes name or address.
     *
     * @param provedHash the condition, if any: the hash of the password that was proved
     * @returns the account as it is now; undefined if there is no such account or its password was changed meanwhile;
     *   `email_taken` if another account has the address
     */
    async change(
      id: string,
      { name, email }: AccountChange,
      now: number,
      provedHash?: string,
    ): Promise<Account | 'email_taken' | undefined> {
      let query = db.updateTable('accounts').where('id', '=', id).set({ updated_at: now })
      if (provedHash !== undefined) query = query.where('password_hash', '=', provedHash)
      if (name !== undefined) query = query.set({ name })
      if (email !== undefined) query = query.set({ email: email.address, email_key: email.key })
      try {
        const row = await query.returningAll().returning(rolesColumn).executeTakeFirst()
        return row && accountFrom(row)
      } catch (error) {
        if (isUniqueViolation(error)) return 'email_taken'
        throw error
      }
    },

    /**
     * Changes the password and ends every session but one.
     *
     * @param provedHash the condition: the hash of the password that was proved
     * @returns the ids of the sessions that ended, or undefined if nothing was changed
     */
    async changePassword(
      id: string,
      { provedHash, newHash, keptSession }: { provedHash: string; newHash: string; keptSession: string },
      now: number,
    ): Promise<string[] | undefined> {
      return db.transaction().execute(async (tx) => {
        const changed = await lock(tx, id, provedHash, { password_hash: newHash, updated_at: now })
        return changed ? endSessions(tx, id, { except: keptSession }) : undefined
      })
    },

    /**
     * Erases an account with everything that hangs on it.
     *
     * @param provedHash the condition: the hash of the password that was proved
     * @returns the ids of the sessions that ended, or undefined if nothing was erased
     */
    async erase(id: string, provedHash: string, now: number): Promise<string[] | undefined> {
      return db.transaction().execute(async (tx) => {
        if (!(await lock(tx, id, provedHash, { updated_at: now }))) return undefined
        const ended = await endSessions(tx, id, 'all')
        await tx.deleteFrom('accounts').where('id', '=', id).execute()
        return ended
      })
    },
  }
}

// Holds the account's row until the transaction ends: a login beside it comes before or after, never in between.
async function lock(tx: Tx, id: string, provedHash: string, to: Updateable<AccountsTable>): Promise<boolean> {
  const row = await tx
    .updateTable('accounts')
    .set(to)
    .where('id', '=', id)
    .where('password_hash', '=', provedHash)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

function accountFrom(row: Selectable<AccountsTable> & { roles: string | null }): Account {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    status: row.status,
    roles: rolesFrom(row.roles),
    passwordHash: row.password_hash,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
