import { createVerifier } from 'fast-jwt'
import { type Parties, verifyOptions } from './claims.ts'
import { kidOf } from './secrets.ts'
import type { VerificationKey, VerificationKeys } from './verifier.ts'

/** Secrets to verify with, which can be replaced. */
export interface ReplaceableKeys extends VerificationKeys {
  /** Puts other secrets in force, all at once. */
  replace(secrets: readonly Buffer[]): void
}

/**
 * The secrets by their kid, to verify and not to sign, without a server: fast-jwt is what @fastify/jwt stands on.
 *
 * @param secrets at least one, each of at least 32 bytes
 */
export function createVerificationKeys(secrets: readonly Buffer[], parties: Parties): ReplaceableKeys {
  let byKid = keysOf(secrets, parties)
  let generation = 0
  return {
    find: (kid) => byKid.get(kid),
    replace(others) {
      byKid = keysOf(others, parties)
      generation++
    },
    get generation() {
      return generation
    },
  }
}

function keysOf(secrets: readonly Buffer[], parties: Parties): ReadonlyMap<unknown, VerificationKey> {
  return new Map(
    secrets.map((key) => [kidOf(key), { verify: createVerifier({ ...verifyOptions(parties), key }) }]),
  )
}
