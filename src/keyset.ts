import { bytesOf, ID_BYTES, idBytes, idFrom } from './opaque.ts'
import { Problem } from './problem.ts'

// No UUIDv7 lies outside.
export const BELOW_ALL_IDS = '00000000-0000-0000-0000-000000000000'
export const ABOVE_ALL_IDS = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/** A stretch of ids. */
export interface Stretch {
  /** The first id that is in it. */
  readonly from: string
  /** The first id above it. */
  readonly below: string
}

/** A page of rows in the descending order of their ids. */
export interface Page<Row> {
  readonly rows: readonly Row[]
  /** What the next page is asked for with; null if there is none. */
  readonly nextCursor: string | null
}

/** Which page. */
export interface PageWish {
  /** How many rows at most. */
  readonly limit: number
  /** From where to go on, as the last page said. */
  readonly cursor?: string | undefined
}

/**
 * Finds a page, and whether there is another one. A cursor is a prefix and base64url of the last id that was given.
 *
 * @param prefix tells the cursors of one list from those of others
 * @param find finds so many rows at most, below an id; undefined is the beginning
 * @throws Problem invalid_request for a cursor that no page gave
 */
export async function findPage<Row extends { readonly id: string }>(
  prefix: string,
  { limit, cursor }: PageWish,
  find: (below: string | undefined, limit: number) => Promise<readonly Row[]>,
): Promise<Page<Row>> {
  const below = cursor === undefined ? undefined : idOfCursor(prefix, cursor)
  const found = await find(below, limit + 1)
  const rows = found.slice(0, limit)
  const last = found.length > limit ? rows.at(-1) : undefined
  return { rows, nextCursor: last === undefined ? null : prefix + idBytes(last.id).toString('base64url') }
}

function idOfCursor(prefix: string, cursor: string): string {
  const bytes = bytesOf(cursor, prefix, ID_BYTES)
  if (bytes === undefined) {
    throw new Problem('invalid_request', {
      detail: 'The cursor is none that a page gave.',
      errors: [{ path: 'cursor', message: 'is none that a page gave' }],
    })
  }
  return idFrom(bytes)
}
