import type { Operator } from '../admin/admin.ts'
import { findPage, type PageWish } from '../keyset.ts'
import { type Outcome, type SecurityEvent, securityEvents } from './events.ts'
import type { AuditEvent, AuditStore } from './store.ts'
import type { Trail } from './trail.ts'

const CURSOR_PREFIX = 'before_'

export interface AuditParts {
  readonly store: Pick<AuditStore, 'find'>
  readonly trail: Pick<Trail, 'record'>
}

/** What an account may ask of its own events. Times are in milliseconds since 1970. */
export interface OwnWish extends PageWish {
  readonly event?: SecurityEvent | undefined
  readonly outcome?: Outcome | undefined
  /** At that time or later. */
  readonly from?: number | undefined
  /** Before that time. */
  readonly until?: number | undefined
}

/** What an operator may ask for. */
export interface AuditWish extends OwnWish {
  /** The account it was done to. */
  readonly account?: string | undefined
  /** Who did it: an account's id, or COMMAND_LINE. */
  readonly actor?: string | undefined
  readonly ip?: string | undefined
}

export interface AuditPage {
  readonly events: readonly AuditEvent[]
  /** What the next page is asked for with; null if there is none. */
  readonly nextCursor: string | null
}

export type Audit = ReturnType<typeof createAudit>

/** The rules of who may read what of the audit trail. */
export function createAudit({ store, trail }: AuditParts) {
  async function pageOf({ account, cursor, limit, ...wish }: AuditWish): Promise<AuditPage> {
    // What came of it is in the name.
    const outcome = wish.event === undefined ? wish.outcome : undefined
    const filter = { ...wish, outcome, subject: account }
    const { rows: events, nextCursor } = await findPage(
      CURSOR_PREFIX,
      { cursor, limit },
      async (below, count) => (isContradiction(wish) ? [] : store.find(filter, below, count)),
    )
    return { events, nextCursor }
  }

  return {
    /**
     * A page of events, the newest first, for an operator. That they read it is an event as well.
     *
     * @throws Problem invalid_request for a cursor that no page gave
     */
    async read(wish: AuditWish, { actor, client }: Operator): Promise<AuditPage> {
      const page = await pageOf(wish)
      await trail.record('audit_read', client, {
        actor,
        ...(wish.account !== undefined && { subject: wish.account }),
        events: page.events.length,
      })
      return page
    },

    /**
     * A page of what was done to an account, by whomever, the newest first.
     *
     * @throws Problem invalid_request for a cursor that no page gave
     */
    async readOwn(accountId: string, wish: OwnWish): Promise<AuditPage> {
      return pageOf({ ...wish, account: accountId })
    },
  }
}

function isContradiction({ event, outcome }: Pick<OwnWish, 'event' | 'outcome'>): boolean {
  return event !== undefined && outcome !== undefined && securityEvents[event].outcome !== outcome
}
