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
  audit_events: AuditEventsTable
  attempts: AttemptsTable
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

/** Something that somebody may have to answer for later. It outlives the account it speaks of. */
export interface AuditEventsTable {
  /** Made of the time it happened, so that the order of ids is that of time. */
  id: string
  at: number
  event: string
  outcome: 'success' | 'failure'
  /** Who did it: an account's id, or COMMAND_LINE; null where that is not known. */
  actor: string | null
  /** The account it was done to; null where there is none. */
  subject: string | null
  session_id: string | null
  ip: string | null
  user_agent: string | null
  request_id: string | null
  /** What else is to be said, as a JSON object. */
  details: string
}

/** Failed attempts from one place, or at one account; or that somebody has logged in to an account from a place. */
export interface AttemptsTable {
  /** Hash of what is counted: neither an address nor whatever was typed as one is to be read here. */
  key: Uint8Array
  /** Hash of whom it concerns, by which it can be reset; null where it is nobody in particular. */
  subject: Uint8Array | null
  failures: number
  /** Until then nothing is tried. */
  blocked_until: number
  /** From then on it counts no more. */
  expires_at: number
}

export type Db = Kysely<Schema>
export type Tx = Transaction<Schema>
