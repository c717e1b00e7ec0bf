import type { Kysely, Transaction } from 'kysely'

export type Dialect = 'sqlite' | 'postgres'

/** Times are milliseconds since 1970, ids UUIDv7, hashes SHA-256. */
export interface Schema {
  accounts: AccountsTable
  account_roles: AccountRolesTable
  sessions: SessionsTable
}

export type AccountStatus = 'active' | 'disabled'

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
}

export type Db = Kysely<Schema>
export type Tx = Transaction<Schema>
