import { Problem } from '../problem.ts'
import { type Claims, LEEWAY, LONGEST_TOKEN_TTL } from './claims.ts'

/** What a revocation refuses: every token of a session, or an account's tokens that carry other roles than these. */
export type Cause =
  | { readonly sessionId: string }
  | { readonly accountId: string; readonly roles: readonly string[] }

/** A revocation as it was committed. */
export type Revocation = Cause & {
  /** Its place in the order of commits. */
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly revokedAt: number
}

/**
 * Milliseconds for which a revocation is needed: until the last token it can refuse has expired. One leeway is for the
 * clock of the node that minted, one for that of the guard.
 */
export const REVOCATION_LIFE = (LONGEST_TOKEN_TTL + 2 * LEEWAY) * 1_000

/**
 * Milliseconds for which a revocation is kept beyond that. A clock that is stepped ahead by as much, and put right, has
 * lost none that is needed again.
 */
export const KEPT_BEYOND = 3_600_000

/** The tokens that must no longer be let in, though they verify. */
export interface Revocations {
  /** Refuses from now on what the revocations say. Those that have been applied before change nothing. */
  apply(revocations: readonly Revocation[]): void
  /**
   * Lets claims pass, or not: the strictest of all that applies.
   *
   * @throws Problem token_revoked, token_stale
   */
  check(claims: Pick<Claims, 'sub' | 'sid' | 'roles' | 'iat'>): void
  /**
   * Calls back with every revocation that is applied. Who remembers what passed the check, and forgets it then, needs no
   * check in between: with a million revocations each would cost microseconds, for memory that is far away.
   */
  onRevocation(listener: (cause: Cause) => void): void
  /** Says that numbers begin anew: what is applied from now on is in force over all that was applied before. */
  startAnew(): void
  /** Says that everything committed up to then is known. @param moment what performance.now() said then */
  knownUpTo(moment: number): void
  /** Seconds since everything was known; Infinity before that was said the first time. */
  age(): number
  /** How many are kept. */
  readonly size: number
}

/**
 * Seconds after a change of roles in which other roles are those of before. What is issued later has them from a change
 * that isn't known here yet: it is let in. A token says since when its roles were read; this is for a change that takes
 * a few seconds to commit, and for clocks that differ.
 */
const SETTLED_AFTER = 15

interface RolesInForce {
  readonly seq: number
  readonly roles: string
  /** Until which second a token with other roles was issued before the change. */
  readonly settled: number
  readonly until: number
}

/**
 * Revocations in this process's memory. Each is kept until the last token that it refuses has expired, and an hour
 * longer, so memory is bounded by the revocations of two hours.
 *
 * No clock decides which token is older than a change of roles: the token's own roles do. So a login just after a change
 * is let in and one just before is not, however little lies between and however the clocks of two nodes differ by seconds.
 *
 * @param clock milliseconds since 1970
 */
export function createRevocations(clock: () => number): Revocations {
  // By id, until which second each is kept. A Map iterates in the order of insertion, which is the order in which
  // entries may be forgotten. Seconds, because those fit into the Map itself.
  const endedSessions = new Map<string, number>()
  const rolesInForce = new Map<string, RolesInForce>()
  const listeners: ((cause: Cause) => void)[] = []
  let known = Number.NEGATIVE_INFINITY

  function forgetExpired(now: number): void {
    for (const [sessionId, until] of endedSessions) {
      if (until >= now) break
      endedSessions.delete(sessionId)
    }
    for (const [accountId, { until }] of rolesInForce) {
      if (until >= now) break
      rolesInForce.delete(accountId)
    }
  }

  function applyOne(revocation: Revocation, until: number): void {
    // A Map leaves what it has in its place: one that comes again goes to the end.
    if ('sessionId' in revocation) {
      const { sessionId } = revocation
      if ((endedSessions.get(sessionId) ?? 0) >= until) return
      endedSessions.delete(sessionId)
      endedSessions.set(sessionId, until)
      return
    }
    const { accountId, seq } = revocation
    // This node's own changes are applied at once, and may so overtake others.
    if ((rolesInForce.get(accountId)?.seq ?? 0) >= seq) return
    rolesInForce.delete(accountId)
    const settled = revocation.revokedAt / 1_000 + SETTLED_AFTER
    rolesInForce.set(accountId, { seq, roles: canonical(revocation.roles), settled, until })
  }

  return {
    apply(revocations) {
      const now = clock() / 1_000
      forgetExpired(now)
      for (const revocation of revocations) {
        const until = Math.ceil((revocation.revokedAt + REVOCATION_LIFE) / 1_000)
        if (until < now) continue
        applyOne(revocation, until + KEPT_BEYOND / 1_000)
        for (const listener of listeners) listener(revocation)
      }
    },

    onRevocation(listener) {
      listeners.push(listener)
    },

    startAnew() {
      for (const [accountId, inForce] of rolesInForce) rolesInForce.set(accountId, { ...inForce, seq: 0 })
    },

    check({ sub, sid, roles, iat }) {
      if (endedSessions.has(sid)) throw new Problem('token_revoked')
      const inForce = rolesInForce.get(sub)
      if (inForce === undefined || iat > inForce.settled) return
      if (inForce.roles !== canonical(roles)) throw new Problem('token_stale')
    },

    knownUpTo(moment) {
      known = moment
      forgetExpired(clock() / 1_000)
    },

    age: () => (performance.now() - known) / 1_000,

    get size() {
      return endedSessions.size + rolesInForce.size
    },
  }
}

function canonical(roles: readonly string[]): string {
  return [...roles].sort().join(' ')
}
