import { createHash, createHmac, randomBytes } from 'node:crypto'

// lkr_ and base64url of: session id (16 bytes), family (16), secret (32).
const PREFIX = 'lkr_'
const ID_BYTES = 16
const FAMILY_BYTES = 16
const SECRET_BYTES = 32

/**
 * What a refresh token is made of. The family is the same in every token of a session and proves that its bearer once
 * held a genuine one; the secret is new at every rotation. The database keeps a hash of each, so whoever reads it can
 * neither mint nor replay a token, and knowing a session's id is not enough to be taken for its owner.
 */
export interface RefreshToken {
  readonly sessionId: string
  readonly family: Buffer
  readonly secret: Buffer
}

/** The first refresh token of a session. */
export function firstToken(sessionId: string): RefreshToken {
  return { sessionId, family: randomBytes(FAMILY_BYTES), secret: randomBytes(SECRET_BYTES) }
}

/**
 * The token that follows at a rotation: its secret is the HMAC of the parent's under a salt that is drawn for this one
 * rotation. With salt and parent it can be made again, so a client whose answer was lost gets the same child.
 *
 * @param salt 32 random bytes, kept in the session's row until the next rotation
 */
export function childToken(parent: RefreshToken, salt: Uint8Array): RefreshToken {
  return { ...parent, secret: createHmac('sha256', salt).update(parent.secret).digest() }
}

export function rotationSalt(): Buffer {
  return randomBytes(SECRET_BYTES)
}

/** SHA-256 is enough for what is random and long (RFC 9700 section 4.14 leaves the means open). */
export function hashOf(secret: Uint8Array): Buffer {
  return createHash('sha256').update(secret).digest()
}

export function formatRefreshToken({ sessionId, family, secret }: RefreshToken): string {
  const id = Buffer.from(sessionId.replaceAll('-', ''), 'hex')
  return PREFIX + Buffer.concat([id, family, secret]).toString('base64url')
}

/** @returns the parts of a token, or undefined for whatever formatRefreshToken doesn't write */
export function parseRefreshToken(text: string): RefreshToken | undefined {
  const digits = text.slice(PREFIX.length)
  const bytes = Buffer.from(digits, 'base64url')
  if (!text.startsWith(PREFIX) || bytes.toString('base64url') !== digits) return undefined
  if (bytes.length !== ID_BYTES + FAMILY_BYTES + SECRET_BYTES) return undefined
  return {
    sessionId: bytes
      .toString('hex', 0, ID_BYTES)
      .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    family: bytes.subarray(ID_BYTES, ID_BYTES + FAMILY_BYTES),
    secret: bytes.subarray(ID_BYTES + FAMILY_BYTES),
  }
}
