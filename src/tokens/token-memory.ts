import { LRUCache } from 'lru-cache'
import type { Claims } from './claims.ts'

const REMEMBERED_TOKENS = 10_000

/** Tokens that were let in, by their exact text, with their claims: the last used ones. */
export interface TokenMemory {
  find(token: string): Claims | undefined
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
