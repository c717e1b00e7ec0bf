import { LRUCache } from 'lru-cache'
import { Problem } from '../problem.ts'
import { FREE, WINDOW } from './limits.ts'

const SECOND = 1_000

// What was refused is refused once more for so long without asking the database, for so many at a time.
const REMEMBER_FOR = SECOND
const REMEMBERED = 10_000

/** What is counted: failed logins of an address or at an account, wrong tokens, sign-ups, failures in a session. */
export const throttleScopes = ['address', 'account', 'session', 'token', 'signup'] as const
export type ThrottleScope = (typeof throttleScopes)[number]

interface Refusal {
  readonly scope: ThrottleScope
  readonly since: number
  readonly until: number
}

/** Refuses who has failed too often, and remembers it for a second. */
export function createRefusals(attemptsPerAddress: number, clock: () => number) {
  const remembered = new LRUCache<string, Refusal>({ max: REMEMBERED, ttl: REMEMBER_FOR })
  const counts = { address: 0, account: 0, session: 0, token: 0, signup: 0 }

  function tooMany(scope: ThrottleScope, until: number): Problem {
    counts[scope]++
    const seconds = Math.max(1, Math.ceil((until - clock()) / SECOND))
    const isLadder = scope === 'account' || scope === 'session'
    const policy = isLadder ? `q=${FREE}` : `q=${attemptsPerAddress};w=${WINDOW / SECOND}`
    return new Problem('too_many_attempts', {
      detail: `Too many attempts: try again in ${seconds} s.`,
      headers: {
        'retry-after': String(seconds),
        // draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4
        'ratelimit-policy': `"${scope}";${policy}`,
        ratelimit: `"${scope}";r=0;t=${seconds}`,
      },
    })
  }

  return {
    /**
     * @param name who is refused
     * @param until when they may try again, in milliseconds since 1970
     * @throws Problem too_many_attempts
     */
    refuse(scope: ThrottleScope, name: string, until: number): never {
      remembered.set(name, { scope, since: clock(), until })
      throw tooMany(scope, until)
    },

    /** Refuses again who was refused a moment ago. @throws Problem too_many_attempts */
    refuseAgain(...names: readonly string[]): void {
      for (const name of names) {
        const known = remembered.get(name)
        const now = clock()
        if (known !== undefined && known.since <= now && now < known.until) {
          throw tooMany(known.scope, known.until)
        }
      }
    },

    /** How often each has refused since the start. */
    counts: counts as Readonly<Record<ThrottleScope, number>>,
  }
}
