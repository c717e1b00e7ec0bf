import { LEEWAY, LONGEST_TOKEN_TTL } from './claims.ts'

/** The sessions whose access tokens must no longer be let in, though they verify. */
export interface Revocations {
  /** Refuses every token of the sessions from now on. */
  revoke(sessionIds: readonly string[]): void
  isRevoked(sessionId: string): boolean
  /** How many are kept. */
  readonly size: number
}

/**
 * Revocations in this process's memory. Each is kept until the last token of its session has expired, so memory is
 * bounded by the revocations of one token lifetime.
 *
 * @param clock milliseconds since 1970
 */
export function createRevocations(clock: () => number): Revocations {
  // A Map iterates in the order of insertion, which is the order in which entries may be forgotten.
  const revokedAt = new Map<string, number>()

  function forgetExpired(now: number): void {
    // One leeway for the clock of the node that minted, one for that of the guard.
    const oldest = now - (LONGEST_TOKEN_TTL + 2 * LEEWAY) * 1_000
    for (const [sessionId, at] of revokedAt) {
      if (at >= oldest) return
      revokedAt.delete(sessionId)
    }
  }

  return {
    revoke(sessionIds) {
      const now = clock()
      forgetExpired(now)
      for (const sessionId of sessionIds) {
        // A Map leaves what it has in its place: one that is revoked again goes to the end.
        revokedAt.delete(sessionId)
        revokedAt.set(sessionId, now)
      }
    },
    isRevoked: (sessionId) => revokedAt.has(sessionId),
    get size() {
      return revokedAt.size
    },
  }
}
