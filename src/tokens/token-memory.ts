import { LRUCache } from 'lru-cache'
import type { Claims } from './claims.ts'

const REMEMBERED_TOKENS = 10_000

// How many tokens that came once are recognized when they come again, at best: a power of two.
const SIGHTS = 16_384

/** Tokens that were let in, by their exact text, with their claims: the last used ones. */
export interface TokenMemory {
  find(token: string): Claims | undefined
  /**
   * Remembers a token. Once the memory is full that takes a second time: to put a token that comes once in the place of one
   * that is in use costs more than to verify it.
   */
  add(token: string, claims: Claims): void
  /** Forgets every token of a session or an account. @param id of either */
  forget(id: string): void
  clear(): void
  /** How many are remembered. */
  readonly size: number
  /** How often find() found, and how often it didn't. */
  readonly hits: number
  readonly misses: number
}

/** An empty memory. @param max how many tokens it holds */
export function createTokenMemory(max = REMEMBERED_TOKENS): TokenMemory {
  const cameBefore = createSights()
  const tokensById = new Map<string, Set<string>>()
  let hits = 0
  let misses = 0
  const claimsByToken = new LRUCache<string, Claims>({
    max,
    dispose(claims, token) {
      unlink(claims.sid, token)
      unlink(claims.sub, token)
    },
  })

  function link(id: string, token: string): void {
    const tokens = tokensById.get(id)
    if (tokens === undefined) tokensById.set(id, new Set([token]))
    else tokens.add(token)
  }

  function unlink(id: string, token: string): void {
    const tokens = tokensById.get(id)
    tokens?.delete(token)
    if (tokens?.size === 0) tokensById.delete(id)
  }

  return {
    find(token) {
      const claims = claimsByToken.get(token)
      if (claims === undefined) misses++
      else hits++
      return claims
    },
    add(token, claims) {
      if (claimsByToken.size === max && !cameBefore(token)) return
      claimsByToken.set(token, claims)
      link(claims.sid, token)
      link(claims.sub, token)
    },
    forget(id) {
      for (const token of [...(tokensById.get(id) ?? [])]) claimsByToken.delete(token)
    },
    clear: () => claimsByToken.clear(),
    get size() {
      return claimsByToken.size
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
  }
}

/**
 * Notes what comes, in a table in which what comes later takes the place of what came before.
 *
 * @returns says whether a token was noted already, and notes it. That may be wrong, as tokens are told apart by 32 bits.
 */
function createSights(): (token: string) => boolean {
  const sights = new Int32Array(SIGHTS)
  return (token) => {
    // FNV-1a over the end of the signature, which differs from token to token as random bits do.
    let hash = 0x811c9dc5
    for (let index = token.length - 12; index < token.length; index++) {
      hash = Math.imul(hash ^ token.charCodeAt(index), 0x01000193)
    }
    const place = hash & (SIGHTS - 1)
    if (sights[place] === hash) return true
    sights[place] = hash
    return false
  }
}
