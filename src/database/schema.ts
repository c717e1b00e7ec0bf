import type { Generated, Kysely, Transaction } from 'kysely'

export type Dialect = 'sqlite' | 'postgres'

/** On which PostgreSQL says that there are new revocations. */
export const REVOCATIONS_CHANNEL = 'latchkey_revocations'

/** Times are milliseconds since 1970, ids UUIDv7, hashes SHA-256. */
export interface Schema {
  accounts: AccountsTable
  account_roles: AccountRolesTable
  sessions: SessionsTable
  revocations: RevocationsTable
  revocation_head: RevocationHeadTable
}

export type AccountStatus = 'active' | 'disabled'

/** A person has an address and a password, a service has credentials. */
export type AccountKind = 'person' | 'service'

export interface AccountsTable {
  id: string
  /** As typed. */
  email: string
  /** By which it is unique and looked up. */
  email_key: string
  name: string | null
  password_hash: string
  status: AccountStatus
  created_at: number
  updated_at: number
  kind: Generated<AccountKind>
  /** What operators search in: address and name, in lower case, a line each. */
  search_key: Generated<string>
}

interface AccountRolesTable {
  account_id: string
  role: string
}

export interface SessionsTable {
  id: string
  account_id: string
  /** Under which every refresh token of the session is sealed: an old one is told from one that is made up. */
  seal_key: Uint8Array
  /** Hash of the newest refresh secret. */
  secret_hash: Uint8Array
  /** With the newest secret's parent it gives the newest secret; null before the first rotation. */
  rotation_salt: Uint8Array | null
  rotated_at: number
  created_at: number
  last_used_at: number
  /** When it ends if it isn't refreshed before, and never later than its longest life. */
  expires_at: number
  ip: string
  user_agent: string | null
  /** A login is kept alive by refresh tokens that rotate; a credential is one secret that stays. */
  kind: Generated<'login' | 'credential'>
  /** The scopes it was opened for, separated by spaces; null for all that the account's roles bring. */
  scope: Generated<string | null>
}

/** Either a session that ended, or an account whose roles changed, and what they are. */
interface RevocationsTable {
  /** Its place in the order of commits. */
  seq: number
  session_id: string | null
  account_id: string | null
  /** Separated by spaces. */
  roles: string | null
  revoked_at: number
}

/** One row. Who writes revocations holds it until the commit: so their numbers are in the order of commits. */
interface RevocationHeadTable {
  id: number
  /** The number of the newest revocation. */
  seq: number
  /** Which feed it is: another database is another feed. */
  feed: string
}

export type Db = Kysely<Schema>
export type Tx = Transaction<Schema>
