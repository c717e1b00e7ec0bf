import { setImmediate } from 'node:timers/promises'
import { sql } from 'kysely'
import {
  type Account,
  accountFrom,
  insertRoles,
  requireAnAdmin,
  searchKeyOf,
  searchText,
} from '../accounts/store.ts'
import { rolesColumn } from '../database/roles.ts'
import type { AccountStatus, Db, Tx } from '../database/schema.ts'
import { transact, type Within } from '../database/transaction.ts'
import { ABOVE_ALL_IDS, BELOW_ALL_IDS, type Stretch } from '../keyset.ts'
import { revoke } from '../revocations/store.ts'
import { endWithAccount, insertSession, type NewSession } from '../sessions/store.ts'
import type { Revocation } from '../tokens/revocations.ts'
import { ADMIN } from '../tokens/roles.ts'

// SQLite stops the process while it answers, so a search reads so many accounts at a time: some milliseconds' worth.
const SEARCHED_AT_ONCE = 5_000

/** Which accounts are looked for: those for which all of it holds. */
export interface AccountFilter {
  /** What stands somewhere in the address or the name; or the whole id. */
  readonly text?: string | undefined
  readonly role?: string | undefined
  readonly status?: AccountStatus | undefined
}

/** What an operator may change of an account; null removes the name. */
export interface OperatorChange {
  readonly status?: AccountStatus | undefined
  readonly roles?: readonly string[] | undefined
  readonly name?: string | null | undefined
}

/** What came of a change. */
export interface Changed {
  readonly before: Account
  readonly after: Account
  readonly sessionsEnded: number
  /** To be applied. */
  readonly revocations: readonly Revocation[]
}

export type AdminStore = ReturnType<typeof createAdminStore>

/** The queries of operators. Each throws Problem database_unavailable where there is no database. */
export function createAdminStore(db: Db) {
  return {
    /**
     * Finds accounts, the newest first: in the descending order of ids, which is stable whatever comes and goes.
     *
     * @param below the id to go on from; undefined is the beginning
     */
    async find(filter: AccountFilter, below: string | undefined, limit: number): Promise<Account[]> {
      const found: Account[] = []
      const length = isOneIndexEnough(filter) ? limit : SEARCHED_AT_ONCE
      let stretch = await stretchBelow(db, filter, below ?? ABOVE_ALL_IDS, length)
      for (;;) {
        found.push(...(await match(db, filter, stretch, limit - found.length)))
        if (found.length === limit || stretch.from === BELOW_ALL_IDS) return found
        await setImmediate()
        stretch = await stretchBelow(db, filter, stretch.from, length)
      }
    },

    /** @returns the id of the person who has the address */
    async idOf(emailKey: string): Promise<string | undefined> {
      const row = await db
        .selectFrom('accounts')
        .select('id')
        .where('email_key', '=', emailKey)
        .executeTakeFirst()
      return row?.id
    },

    /**
     * Changes an account, and revokes in the same transaction what the change takes away: every session of who is
     * disabled, every token that carries other roles than there are now.
     *
     * @returns what came of it; undefined if there is no such account
     * @throws Problem last_admin
     */
    async change(
      id: string,
      change: OperatorChange,
      now: number,
      within: Within<Changed>,
    ): Promise<Changed | undefined> {
      return transact(db, async (tx) => {
        const before = await lockAccount(tx, id, now)
        if (before === undefined) return undefined
        const after = changed(before, change)
        await tx
          .updateTable('accounts')
          .set({ status: after.status, name: after.name, search_key: searchKeyOf(after) })
          .where('id', '=', id)
          .execute()
        const hasOtherRoles = after.roles.join(' ') !== before.roles.join(' ')
        if (hasOtherRoles) await replaceRoles(tx, after)

        // From the first revocation to the commit nothing else is locked.
        const isDisabled = after.status === 'disabled'
        const ended = isDisabled ? await endWithAccount(tx, id, now) : { count: 0, revocations: [] }
        const causes = hasOtherRoles ? [{ accountId: id, roles: after.roles }] : []
        const revocations = [...ended.revocations, ...(await revoke(tx, causes, now))]
        if (isAdmin(before) && !isAdmin(after)) await requireAnAdmin(tx)
        const done = { before, after, sessionsEnded: ended.count, revocations }
        await within(tx, done)
        return done
      })
    },

    /**
     * Stores a credential, on the condition that its account is active. The update takes the account's row lock, so that
     * who disables it beside this ends the credential too or prevents it.
     *
     * @returns whether it was stored
     */
    async addCredential(row: NewSession, within: Within): Promise<boolean> {
      return transact(db, async (tx) => {
        const account = await tx
          .updateTable('accounts')
          .set({ status: 'active' })
          .where('id', '=', row.account_id)
          .where('status', '=', 'active')
          .returning('id')
          .executeTakeFirst()
        if (account === undefined) return false
        await insertSession(tx, row)
        await within(tx)
        return true
      })
    },
  }
}

// A filter on the role or the status alone is answered by an index, which holds nothing but what is looked for.
function isOneIndexEnough({ text, role, status }: AccountFilter): boolean {
  return text === undefined && (role === undefined || status === undefined)
}

/** The ids that are looked through, in the index that narrows them most. */
function candidates(db: Db, { role, status }: AccountFilter) {
  if (role !== undefined) {
    return db.selectFrom('account_roles').select('account_id as id').where('role', '=', role).as('candidates')
  }
  const all = db.selectFrom('accounts').select('id')
  return (status === undefined ? all : all.where('status', '=', status)).as('candidates')
}

/** @returns the stretch of so many candidates below an id; of all that are left if there are fewer */
async function stretchBelow(db: Db, filter: AccountFilter, below: string, length: number): Promise<Stretch> {
  const first = await db
    .selectFrom(candidates(db, filter))
    .select('candidates.id')
    .where('candidates.id', '<', below)
    .orderBy('candidates.id', 'desc')
    .offset(length - 1)
    .limit(1)
    .executeTakeFirst()
  return { from: first?.id ?? BELOW_ALL_IDS, below }
}

async function match(
  db: Db,
  filter: AccountFilter,
  { from, below }: Stretch,
  limit: number,
): Promise<Account[]> {
  const { text, status } = filter
  let query = db
    .selectFrom('accounts')
    .selectAll()
    .select(rolesColumn)
    .where('id', 'in', (q) =>
      q
        .selectFrom(candidates(db, filter))
        .select('candidates.id')
        .where('candidates.id', '>=', from)
        .where('candidates.id', '<', below),
    )
    .orderBy('id', 'desc')
    .limit(limit)
  if (status !== undefined) query = query.where('status', '=', status)
  if (text !== undefined) {
    query = query.where((q) => q.or([q('id', '=', idOrNone(text)), q('search_key', 'like', pattern(text))]))
  }
  return (await query.execute()).map(accountFrom)
}

// PostgreSQL compares an id with nothing but ids.
function idOrNone(text: string): string {
  const id = text.toLowerCase()
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/.test(id) ? id : BELOW_ALL_IDS
}

/** What LIKE takes for: has it somewhere. Nothing in the text means more than itself. */
function pattern(text: string) {
  const literal = searchText(text).replace(/[!%_]/g, '!$&')
  return sql<string>`${`%${literal}%`} escape '!'`
}

/** Holds the account's row until the transaction ends, and reads the account as it is from then on. */
async function lockAccount(tx: Tx, id: string, now: number): Promise<Account | undefined> {
  const locked = await tx
    .updateTable('accounts')
    .set({ updated_at: now })
    .where('id', '=', id)
    .returning('id')
    .executeTakeFirst()
  if (locked === undefined) return undefined
  // Not in one statement: what else that reads is from before it waited for the lock.
  const row = await tx
    .selectFrom('accounts')
    .selectAll()
    .select(rolesColumn)
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return accountFrom(row)
}

function changed(account: Account, { status, roles, name }: OperatorChange): Account {
  return {
    ...account,
    status: status ?? account.status,
    roles: roles === undefined ? account.roles : [...roles].sort(),
    name: name === undefined ? account.name : name,
  }
}

async function replaceRoles(tx: Tx, { id, roles }: Account): Promise<void> {
  await tx.deleteFrom('account_roles').where('account_id', '=', id).execute()
  await insertRoles(tx, id, roles)
}

function isAdmin({ kind, status, roles }: Account): boolean {
  return kind === 'person' && status === 'active' && roles.includes(ADMIN)
}
