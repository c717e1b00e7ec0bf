import type { Selectable, Updateable } from 'kysely'
import { isUniqueViolation } from '../database/errors.ts'
import { rolesColumn, rolesFrom } from '../database/roles.ts'
import type { AccountKind, AccountStatus, AccountsTable, Db, Tx } from '../database/schema.ts'
import { transact, type Within } from '../database/transaction.ts'
import { Problem } from '../problem.ts'
import { lockHead } from '../revocations/store.ts'
import { type EndedSessions, endSessions, insertSession, type NewSession } from '../sessions/store.ts'
import { ADMIN } from '../tokens/roles.ts'

export interface Account {
  readonly id: string
  readonly kind: AccountKind
  /** Empty for a service, which has none. */
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
    async create(
      account: Account,
      emailKey: string,
      session: NewSession | undefined,
      within: Within,
    ): Promise<boolean> {
      return transact(db, async (tx) => {
        const { numInsertedOrUpdatedRows } = await tx
          .insertInto('accounts')
          .values({
            id: account.id,
            kind: account.kind,
            email: account.email,
            email_key: emailKey,
            name: account.name,
            search_key: searchKeyOf(account),
            password_hash: account.passwordHash,
            status: account.status,
            created_at: account.createdAt,
            updated_at: account.updatedAt,
          })
          .onConflict((conflict) => conflict.column('email_key').doNothing())
          .executeTakeFirst()
        if (numInsertedOrUpdatedRows === 0n) return false
        await insertRoles(tx, account.id, account.roles)
        if (session !== undefined) await insertSession(tx, session)
        await within(tx)
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
      within: Within,
      provedHash?: string,
    ): Promise<Account | 'email_taken' | undefined> {
      try {
        return await transact(db, async (tx) => {
          let query = tx.updateTable('accounts').where('id', '=', id).set({ updated_at: now })
          if (provedHash !== undefined) query = query.where('password_hash', '=', provedHash)
          if (name !== undefined) query = query.set({ name })
          if (email !== undefined) query = query.set({ email: email.address, email_key: email.key })
          const row = await query.returningAll().returning(rolesColumn).executeTakeFirst()
          if (row === undefined) return undefined
          await keepSearchKey(tx, row)
          await within(tx)
          return accountFrom(row)
        })
      } catch (error) {
        if (isUniqueViolation(error)) return 'email_taken'
        throw error
      }
    },

    /**
     * Changes the password and ends every session but one.
     *
     * @param provedHash the condition: the hash of the password that was proved
     * @returns what came of ending them, or undefined if nothing was changed
     */
    async changePassword(
      id: string,
      { provedHash, newHash, keptSession }: { provedHash: string; newHash: string; keptSession: string },
      now: number,
      within: Within<EndedSessions>,
    ): Promise<EndedSessions | undefined> {
      return transact(db, async (tx) => {
        const changed = await lock(tx, id, provedHash, { password_hash: newHash, updated_at: now })
        if (!changed) return undefined
        const ended = await endSessions(tx, id, { except: keptSession }, now)
        await within(tx, ended)
        return ended
      })
    },

    /**
     * Erases an account with everything that hangs on it.
     *
     * @param provedHash the condition: the hash of the password that was proved
     * @returns what came of ending its sessions, or undefined if nothing was erased
     * @throws Problem last_admin
     */
    async erase(
      id: string,
      provedHash: string,
      now: number,
      within: Within<EndedSessions>,
    ): Promise<EndedSessions | undefined> {
      return transact(db, async (tx) => {
        if (!(await lock(tx, id, provedHash, { updated_at: now }))) return undefined
        const isAdmin = await hasRole(tx, id, ADMIN)
        const ended = await endSessions(tx, id, 'all', now)
        await tx.deleteFrom('accounts').where('id', '=', id).execute()
        if (isAdmin) await requireAnAdmin(tx)
        await within(tx, ended)
        return ended
      })
    },
  }
}

/** By what operators find an account: its address and its name, each in lower case on a line of its own. */
export function searchKeyOf({ email, name }: Pick<Account, 'email' | 'name'>): string {
  return `${searchText(email)}\n${searchText(name ?? '')}`
}

/** The form in which texts are compared in a search: without regard to case, and to how characters are composed. */
export function searchText(text: string): string {
  return text.normalize('NFC').toLowerCase()
}

/** Writes the search key anew, in the transaction that changed what it is made of. */
export async function keepSearchKey(
  tx: Tx,
  account: Pick<Selectable<AccountsTable>, 'id' | 'email' | 'name'>,
): Promise<void> {
  await tx
    .updateTable('accounts')
    .set({ search_key: searchKeyOf(account) })
    .where('id', '=', account.id)
    .execute()
}

export async function insertRoles(tx: Tx, accountId: string, roles: readonly string[]): Promise<void> {
  if (roles.length === 0) return
  await tx
    .insertInto('account_roles')
    .values(roles.map((role) => ({ account_id: accountId, role })))
    .execute()
}

export async function hasRole(db: Db | Tx, accountId: string, role: string): Promise<boolean> {
  const row = await db
    .selectFrom('account_roles')
    .select('role')
    .where('account_id', '=', accountId)
    .where('role', '=', role)
    .executeTakeFirst()
  return row !== undefined
}

/**
 * Goes last in a transaction that takes an admin away. Of several such one comes after the other, and each sees what
 * those before it left: so of two admins who demote each other one fails.
 *
 * @throws Problem last_admin, which rolls it back, if no admin is left that can sign in
 */
export async function requireAnAdmin(tx: Tx): Promise<void> {
  await lockHead(tx, 0)
  const admin = await tx
    .selectFrom('account_roles')
    .innerJoin('accounts', 'accounts.id', 'account_roles.account_id')
    .select('accounts.id')
    .where('account_roles.role', '=', ADMIN)
    .where('accounts.status', '=', 'active')
    .where('accounts.kind', '=', 'person')
    .limit(1)
    .executeTakeFirst()
  if (admin === undefined) throw new Problem('last_admin')
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

/** Reads a row of accounts, with rolesColumn. */
export function accountFrom(row: Selectable<AccountsTable> & { roles: string | null }): Account {
  return {
    id: row.id,
    kind: row.kind,
    email: row.email,
    name: row.name,
    status: row.status,
    roles: rolesFrom(row.roles),
    passwordHash: row.password_hash,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
