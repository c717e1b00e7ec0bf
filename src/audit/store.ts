import { setImmediate } from 'node:timers/promises'
import type { Selectable } from 'kysely'
import type { AuditEventsTable, Db, Tx } from '../database/schema.ts'
import type { Sweep } from '../database/sweeper.ts'
import { ABOVE_ALL_IDS, BELOW_ALL_IDS, type Stretch } from '../keyset.ts'
import { leastEventId } from './event-id.ts'

// SQLite stops the process while it answers, so a search reads so many events at a time: some milliseconds' worth.
const SEARCHED_AT_ONCE = 1_000

// Each is in six indexes.
const SWEEP_BATCH = 100

export type AuditEvent = Selectable<AuditEventsTable>

/** Each has an index of its own, in the order of ids. */
const columns = ['subject', 'actor', 'ip', 'event', 'outcome'] as const
type Column = (typeof columns)[number]

/** Which events are looked for: those for which all of it holds. */
export interface AuditFilter extends Readonly<Partial<Record<Column, string | undefined>>> {
  /** Milliseconds since 1970: at that time or later. */
  readonly from?: number | undefined
  /** Milliseconds since 1970: before that time. */
  readonly until?: number | undefined
}

export type AuditStore = ReturnType<typeof createAuditStore>

/** The queries on the audit trail. Each throws Problem database_unavailable where there is no database. */
export function createAuditStore(db: Db) {
  return {
    /**
     * Finds events, the newest first: in the descending order of ids, which is that of time.
     *
     * @param below the id to go on from; undefined is the beginning
     */
    async find(filter: AuditFilter, below: string | undefined, limit: number): Promise<AuditEvent[]> {
      const found: AuditEvent[] = []
      const bottom = filter.from === undefined ? BELOW_ALL_IDS : leastEventId(filter.from)
      const until = filter.until === undefined ? ABOVE_ALL_IDS : leastEventId(filter.until)
      let top = below !== undefined && below < until ? below : until
      for (;;) {
        const { column, from } = await narrowest(db, filter, { from: bottom, below: top })
        found.push(...(await match(db, filter, column, { from, below: top }, limit - found.length)))
        if (found.length === limit || from === bottom) return found
        await setImmediate()
        top = from
      }
    },

    /**
     * @param retention seconds for which an event is kept
     * @returns what deletes older ones, the oldest first
     */
    sweepOlderThan(retention: number): Sweep {
      return async (now) => {
        const rows = await db
          .deleteFrom('audit_events')
          .where('id', 'in', (q) =>
            q
              .selectFrom('audit_events')
              .select('id')
              .where('id', '<', leastEventId(now - retention * 1_000))
              .orderBy('id')
              .limit(SWEEP_BATCH),
          )
          .returning('id')
          .execute()
        return { deleted: rows.length, full: rows.length === SWEEP_BATCH }
      }
    },
  }
}

/** Writes an event. */
export async function insertEvent(to: Db | Tx, event: AuditEvent): Promise<void> {
  await to.insertInto('audit_events').values(event).execute()
}

/**
 * Looks for the column whose index goes back furthest in so many events. That of a rare value goes back at once to where
 * nothing more can be found.
 *
 * @returns the column, and from where on its index has been looked through
 */
async function narrowest(
  db: Db,
  filter: AuditFilter,
  stretch: Stretch,
): Promise<{ readonly column: Column | undefined; readonly from: string }> {
  const given = columns.filter((column) => filter[column] !== undefined)
  // An index alone holds nothing but what is looked for.
  if (given.length < 2) return { column: given[0], from: stretch.from }
  let best: { column: Column | undefined; from: string } = { column: undefined, from: stretch.below }
  for (const column of given) {
    const last = await candidates(db, filter, column, stretch)
      .select('id')
      .offset(SEARCHED_AT_ONCE - 1)
      .limit(1)
      .executeTakeFirst()
    if (last === undefined) return { column, from: stretch.from }
    if (last.id < best.from) best = { column, from: last.id }
  }
  return best
}

async function match(
  db: Db,
  filter: AuditFilter,
  column: Column | undefined,
  stretch: Stretch,
  limit: number,
): Promise<AuditEvent[]> {
  // The limit keeps a database from reading the stretch by another index, in which it may hold a million events.
  const inStretch = candidates(db, filter, column, stretch)
    .selectAll()
    .limit(Math.max(limit, SEARCHED_AT_ONCE))
  let query = db.selectFrom(inStretch.as('candidates')).selectAll().orderBy('id', 'desc').limit(limit)
  for (const other of columns) {
    const value = filter[other]
    if (value !== undefined && other !== column) query = query.where(other, '=', value)
  }
  return query.execute()
}

/** The events of a stretch by the index of a column, or by their ids alone; the newest first. */
function candidates(db: Db, filter: AuditFilter, column: Column | undefined, { from, below }: Stretch) {
  const query = db
    .selectFrom('audit_events')
    .where('id', '>=', from)
    .where('id', '<', below)
    .orderBy('id', 'desc')
  const value = column && filter[column]
  return column === undefined || value === undefined ? query : query.where(column, '=', value)
}
