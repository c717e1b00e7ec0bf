import { hkdfSync } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import { ALGORITHM, type Claims, TOKEN_TYPE } from './claims.ts'

/** One secret, ready to sign and verify. */
export interface Key {
  readonly kid: string
  /** @returns the compact JWS (RFC 7515 section 7.1) of the claims */
  sign(claims: Claims): string
  /**
   * Checks alg, typ, signature, iss and aud, and that no claim is missing. Times are left to the caller, whose clock
   * it is.
   *
   * @throws an Error for whatever doesn't hold
   */
  verify(token: string): void
}

/** The secrets by their kid. */
export interface Keyring {
  /** The key that signs. */
  readonly current: Key
  /** @returns the key of that kid, or undefined: an unknown kid fails closed */
  find(kid: unknown): Key | undefined
  /** Every kid that verifies, the signing one first. */
  readonly kids: readonly string[]
}

/** The strings that a token must carry in `iss` and `aud`, exactly. */
export interface Parties {
  readonly issuer: string
  readonly audience: string
}

/**
 * Makes a keyring out of raw secrets. The first signs, all verify.
 *
 * @param secrets at least one, each of at least 32 bytes
 */
export async function createKeyring(secrets: readonly Buffer[], parties: Parties): Promise<Keyring> {
  const keys = await Promise.all(secrets.map((secret) => createKey(secret, parties)))
  const byKid = new Map<unknown, Key>(keys.map((key) => [key.kid, key]))
  return {
    current: keys[0] as Key,
    find: (kid) => byKid.get(kid),
    kids: keys.map((key) => key.kid),
  }
}

/**
 * The id of a secret: the same on every node, and nothing of the secret can be told from it.
 * HKDF (RFC 5869) with a label of its own keeps it apart from every other use of the secret.
 *
 * @returns 16 characters of base64url
 */
export function kidOf(secret: Buffer): string {
  return Buffer.from(hkdfSync('sha256', secret, '', 'latchkey kid v1', 12)).toString('base64url')
}

// @fastify/jwt can only be registered before an app is ready, and one registration holds one secret. Each key so
// gets a bare instance that never listens: keys can then be added and dropped while the service runs, and signer
// and verifier are built once (options per call would build a new one each time).
async function createKey(secret: Buffer, { issuer, audience }: Parties): Promise<Key> {
  const kid = kidOf(secret)
  const host = Fastify()
  await host.register(fastifyJwt, {
    secret,
    sign: { algorithm: ALGORITHM, header: { alg: ALGORITHM, typ: TOKEN_TYPE, kid } },
    verify: {
      algorithms: [ALGORITHM],
      allowedIss: issuer,
      allowedAud: audience,
      requiredClaims: ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'],
      checkTyp: TOKEN_TYPE,
      ignoreExpiration: true,
      ignoreNotBefore: true,
      cache: false,
    },
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
