import { pino } from 'pino'
import { z } from 'zod'
import { createAccountStore } from '../accounts/store.ts'
import { type Admin, createAdmin, type Operator } from '../admin/admin.ts'
import { type AdminStore, createAdminStore } from '../admin/store.ts'
import { COMMAND_LINE } from '../audit/events.ts'
import { createTrail, type Trail } from '../audit/trail.ts'
import type { Config } from '../config.ts'
import type { Db } from '../database/schema.ts'
import { emailKey } from '../email.ts'
import { EmailAddress, Id } from '../http/schemas.ts'
import { createSessionStore } from '../sessions/store.ts'
import { StartError } from '../start-error.ts'
import { createAttemptStore } from '../throttling/store.ts'
import { createThrottle } from '../throttling/throttle.ts'
import { createRevocations } from '../tokens/revocations.ts'
import { checked, type DatabaseUse, withDatabase } from './environment.ts'

/** Who works on the command line. */
export const operator: Operator = { actor: COMMAND_LINE, client: undefined }

/** What a command on accounts works with. */
export interface OperatorTools {
  readonly admin: Admin
  readonly store: AdminStore
  readonly db: Db
  readonly trail: Trail
  readonly config: Config
}

/**
 * Does an operator's work on the database, by the rules of /admin. Running nodes hear of it as they hear of each other.
 * What was done goes to standard error, as JSON lines.
 *
 * @throws ConfigError; StartError if the database can't be opened; whatever the work throws
 */
export async function withAdmin(
  work: (tools: OperatorTools) => Promise<void>,
  options?: DatabaseUse,
): Promise<void> {
  await withDatabase(async ({ db }, config) => {
    const log = pino({ timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }))
    const trail = createTrail({ db, log, clock: Date.now })
    const store = createAdminStore(db)
    const admin = createAdmin({
      store,
      accounts: createAccountStore(db),
      sessions: createSessionStore(db),
      roles: config.roles,
      throttle: createThrottle({ store: createAttemptStore(db), ...config, clock: Date.now }),
      revocations: createRevocations(Date.now),
      trail,
      clock: Date.now,
    })
    await work({ admin, store, db, trail, config })
  }, options)
}

/**
 * The id of the account that was typed: as such, or as its address.
 *
 * @throws StartError if it is neither, or nobody's address; whether an id is somebody's, the rules find out
 */
export async function requireId(store: AdminStore, typed: string): Promise<string> {
  if (Id.safeParse(typed).success) return typed.toLowerCase()
  const { success, data: address } = EmailAddress.safeParse(typed)
  if (!success) throw new StartError('<account> must be an id or an address')
  const id = await store.idOf(emailKey(address))
  if (id === undefined) throw new StartError('There is no such account.')
  return id
}

/** @returns the role that was typed @throws StartError if there is no such role */
export function checkedRole(option: string, typed: string, { roles: { names } }: Config): string {
  return checked(option, z.enum(names, `must be one of ${names.join(', ')}`), typed)
}
