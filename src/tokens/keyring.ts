import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import { type Claims, headerOf, type Parties, verifyOptions } from './claims.ts'
import { deriveSecret, kidOf } from './secrets.ts'
import type { VerificationKey, VerificationKeys } from './verifier.ts'

/** One secret, ready to sign and verify. */
export interface Key extends VerificationKey {
  readonly kid: string
  /** @returns the compact JWS (RFC 7515 section 7.1) of the claims */
  sign(claims: Claims): string
}

/** The secrets by their kid. They can be replaced while the service runs. */
export interface Keyring extends VerificationKeys {
  /** Every kid that verifies, the signing one first. */
  readonly kids: readonly string[]
  /** @returns the key that signs tokens of that audience: ours, or one of those that are configured beside it */
  signerFor(audience: string): Key | undefined
  /** Puts other secrets in force, all at once: the first signs, all verify. */
  replace(secrets: readonly Buffer[]): Promise<void>
}

/** What the tokens say of who made them and for whom. */
export interface KeyringParties extends Parties {
  /** Audiences beside our own. Their tokens are signed by derived secrets, and not let in here. */
  readonly otherAudiences?: readonly string[]
}

interface Keys {
  readonly byKid: ReadonlyMap<unknown, Key>
  readonly byAudience: ReadonlyMap<string, Key>
}

/**
 * Makes a keyring out of raw secrets. The first signs, all verify.
 *
 * @param secrets at least one, each of at least 32 bytes
 */
export async function createKeyring(secrets: readonly Buffer[], parties: KeyringParties): Promise<Keyring> {
  let keys = await createKeys(secrets, parties)
  let generation = 0
  return {
    find: (kid) => keys.byKid.get(kid),
    signerFor: (audience) => keys.byAudience.get(audience),
    async replace(others) {
      keys = await createKeys(others, parties)
      generation++
    },
    get kids() {
      return [...keys.byKid.values()].map(({ kid }) => kid)
    },
    get generation() {
      return generation
    },
  }
}

async function createKeys(secrets: readonly Buffer[], parties: KeyringParties): Promise<Keys> {
  const { issuer, audience, otherAudiences = [] } = parties
  const own = await Promise.all(secrets.map((secret) => createKey(secret, { issuer, audience })))
  const current = secrets[0] as Buffer
  const others = otherAudiences.map(
    async (other) =>
      [other, await createKey(deriveSecret(current, other), { issuer, audience: other })] as const,
  )
  return {
    byKid: new Map(own.map((key) => [key.kid, key])),
    byAudience: new Map([[audience, own[0] as Key], ...(await Promise.all(others))]),
  }
}

// @fastify/jwt can only be registered before an app is ready, and one registration holds one secret. Each key so
// gets a bare instance that never listens: keys can then be added and dropped while the service runs, and signer
// and verifier are built once (options per call would build a new one each time).
async function createKey(secret: Buffer, parties: Parties): Promise<Key> {
  const kid = kidOf(secret)
  const host = Fastify()
  const header = headerOf(kid)
  await host.register(fastifyJwt, {
    secret,
    sign: { algorithm: header.alg, header },
    verify: verifyOptions(parties),
  })
  await host.ready()
  return {
    kid,
    sign: (claims) => host.jwt.sign(claims),
    verify: (token) => {
      host.jwt.verify(token)
    },
  }
}
