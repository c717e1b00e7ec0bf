import type { Claims } from '../tokens/claims.ts'
import { createRevocations } from '../tokens/revocations.ts'
import { formatSecret, parseSecrets } from '../tokens/secrets.ts'
import { createVerificationKeys } from '../tokens/verification-keys.ts'
import { createVerifier as createTokenVerifier, type Verify } from '../tokens/verifier.ts'
import { type Feed, FeedError, type Subscription, subscribe } from './subscription.ts'

export { Problem, type ProblemCode } from '../problem.ts'
export { type Claims, type Feed, FeedError }

// In silence the feed speaks every 2 s: less than this would refuse now and then for nothing.
const SHORTEST_STALENESS = 3

export interface VerifierOptions {
  /**
   * What JWT_SECRET holds, or what `latchkey secret derive` printed: one secret or several separated by commas, `base64:`
   * and `hex:` decoded. Or the bytes themselves, of one or several.
   */
  readonly secret: string | Uint8Array | readonly Uint8Array[]
  /** The exact string that tokens carry in `iss`: Latchkey's JWT_ISSUER. */
  readonly issuer: string
  /** The exact string that tokens carry in `aud`. */
  readonly audience: string
  /** Milliseconds since 1970. */
  readonly clock?: (() => number) | undefined
  /** From where to hear of revocations. Without it a token is good until it expires. */
  readonly feed?: Feed | undefined
  /**
   * Seconds, at least 3, after which not to have heard from the feed is to let nobody in (503 revocations_stale). Without
   * it the verifier goes on with what it knows.
   */
  readonly maxStaleness?: number | undefined
}

/** Decides on access tokens: synchronous, and from memory alone. */
export interface Verifier {
  /**
   * @returns the token's claims, frozen
   * @throws Problem token_invalid, token_expired, token_revoked, token_stale, revocations_stale
   */
  (token: string): Claims
  /** Once all that was revoked is known; at once without a feed. Rejects where the verifier is closed before. */
  readonly ready: Promise<void>
  /** Seconds since all that was revoked was known; Infinity before the first time, 0 without a feed. */
  staleness(): number
  /** Puts other secrets in force, as at a rotation. @throws TypeError as createVerifier() */
  replaceSecret(secret: VerifierOptions['secret']): void
  /** Stops following the feed. */
  close(): Promise<void>
}

/**
 * Builds a verifier: the very code that Latchkey's own guard runs.
 *
 * @throws TypeError for options that can't be right, such as a secret of fewer than 32 bytes
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const { issuer, audience, clock = Date.now, feed, maxStaleness } = options
  requireText({ issuer, audience })
  if (maxStaleness !== undefined && !(feed !== undefined && maxStaleness >= SHORTEST_STALENESS)) {
    throw new TypeError(`maxStaleness needs a feed, and at least ${SHORTEST_STALENESS} seconds`)
  }
  const keyring = createVerificationKeys(secretsOf(options.secret), { issuer, audience })
  const revocations = createRevocations(clock)
  const verify: Verify = createTokenVerifier({ keyring, revocations, clock, issuer, audience, maxStaleness })
  const { ready, close }: Subscription = feed === undefined ? noSubscription : subscribe(feed, revocations)
  const staleness = feed === undefined ? () => 0 : revocations.age
  const replaceSecret = (secret: VerifierOptions['secret']) => keyring.replace(secretsOf(secret))
  return Object.assign((token: string) => verify(token), { ready, staleness, replaceSecret, close })
}

const noSubscription: Subscription = { ready: Promise.resolve(), close: async () => {} }

function requireText(texts: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(texts)) {
    if (typeof value !== 'string' || value === '') throw new TypeError(`${name} must be a string`)
  }
}

function secretsOf(secret: VerifierOptions['secret']): readonly Buffer[] {
  const secrets = typeof secret === 'string' || secret instanceof Uint8Array ? [secret] : secret
  const texts = secrets.map((each) => (typeof each === 'string' ? each : formatSecret(Buffer.from(each))))
  try {
    return parseSecrets(texts.join(','))
  } catch (fault) {
    // It says what is wrong without a word of the secret.
    throw new TypeError(`secret ${(fault as Error).message}`, { cause: fault })
  }
}
