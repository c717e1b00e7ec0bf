import type { Attempts } from './store.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const DAY = 86_400 * SECOND

/** Failures at one account that cost no waiting. */
export const FREE = 5
/** As many failures stop it: from then on one attempt a day, until one is right or an operator resets it. */
export const STOP_AT = 100
const FIRST_WAIT = SECOND
const LONGEST_WAIT = 15 * MINUTE
const STOP = DAY

/** Milliseconds after the last failure at an account in which all of them count. */
export const FORGOTTEN_AFTER = 2 * DAY

/** Milliseconds for which the failures of an address are counted together, from the first of them on. */
export const WINDOW = MINUTE

/** How many networks' worth of failures all networks of one IPv6 site have together. */
export const NETWORKS_PER_SITE = 16

/** Milliseconds for which an address stays familiar after a login, and in which that isn't written anew. */
export const FAMILIAR_FOR = 90 * DAY
export const RENEW_AFTER = DAY

/** Clocks of nodes may differ by so much. What lasts longer by more than that is from before a clock was set back. */
export const SKEW = MINUTE

/**
 * How long nothing may be tried after so many failures: doubling from a second to a quarter of an hour, then a day.
 *
 * @returns milliseconds
 */
export function waitAfter(failures: number): number {
  if (failures < FREE) return 0
  if (failures >= STOP_AT) return STOP
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - FREE))
}

/** Until when nothing may be tried at an account, in milliseconds since 1970; undefined where something may be. */
export function blockedUntil(row: Attempts | undefined, now: number): number | undefined {
  if (row === undefined) return undefined
  const wait = row.blocked_until - now
  return wait > 0 && wait <= waitAfter(row.failures) + SKEW ? row.blocked_until : undefined
}

/** How many failures at an account aren't forgotten. */
export function failuresAt(row: Attempts | undefined, now: number): number {
  return row === undefined || row.expires_at <= now ? 0 : row.failures
}

/** How many failures of an address there are in its window. */
export function failuresIn(row: Attempts | undefined, now: number): number {
  return row !== undefined && row.expires_at <= now + WINDOW + SKEW ? failuresAt(row, now) : 0
}
