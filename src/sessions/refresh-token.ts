import { createHmac, createSecretKey, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { bytesOf, ID_BYTES, idBytes, idFrom } from '../opaque.ts'

// lkr_ and base64url of: session id (16 bytes), secret (32), seal (16).
const PREFIX = 'lkr_'
const SECRET_BYTES = 32
const SEAL_BYTES = 16

/**
 * What a refresh token is made of. The secret is new at every rotation. The seal is a MAC of it under a key of the
 * session: it shows that the token was issued here for this session, however long ago, so that an old one can be told
 * from one that is made up.
 *
 * The database keeps a hash of the newest secret, and the key. Who reads it can seal a secret, and so end a session;
 * they can't find the secret that the hash was made of, and so can neither mint nor replay a token.
 */
export interface RefreshToken {
  readonly sessionId: string
  readonly secret: Buffer
  readonly seal: Buffer
}

/** What a session's row keeps in order to recognise and to rotate its tokens. */
export interface RefreshKeys {
  readonly seal_key: Uint8Array
  readonly secret_hash: Uint8Array
}

/** The first refresh token of a session, and what its row keeps of it. */
export function firstToken(sessionId: string): { readonly token: RefreshToken; readonly keys: RefreshKeys } {
  const seal_key = randomBytes(SECRET_BYTES)
  const secret = randomBytes(SECRET_BYTES)
  return {
    token: { sessionId, secret, seal: sealOf(seal_key, secret) },
    keys: { seal_key, secret_hash: hashOf(secret) },
  }
}

/**
 * The token that follows at a rotation: its secret is the HMAC of the parent's under a salt that is drawn for this one
 * rotation. With salt and parent it can be made again, so a client whose answer was lost gets the same child.
 *
 * @param salt 32 random bytes, kept in the session's row until the next rotation
 */
export function childToken(
  parent: RefreshToken,
  salt: Uint8Array,
  { seal_key }: Pick<RefreshKeys, 'seal_key'>,
): RefreshToken {
  const secret = hmac(salt, parent.secret)
  return { sessionId: parent.sessionId, secret, seal: sealOf(seal_key, secret) }
}

export function rotationSalt(): Buffer {
  return randomBytes(SECRET_BYTES)
}

/** Whether a token was issued for the session, now or earlier. */
export function isGenuine(
  { secret, seal }: RefreshToken,
  { seal_key }: Pick<RefreshKeys, 'seal_key'>,
): boolean {
  return timingSafeEqual(sealOf(seal_key, secret), seal)
}

/** Whether a token is the session's newest. */
export function isNewest(
  { secret }: RefreshToken,
  { secret_hash }: Pick<RefreshKeys, 'secret_hash'>,
): boolean {
  return timingSafeEqual(hashOf(secret), secret_hash)
}

/** SHA-256 is enough for what is random and long. */
export function hashOf(secret: Uint8Array): Buffer {
  return hash('sha256', secret, 'buffer')
}

export function formatRefreshToken({ sessionId, secret, seal }: RefreshToken): string {
  return PREFIX + Buffer.concat([idBytes(sessionId), secret, seal]).toString('base64url')
}

/** @returns the parts of a token, or undefined for whatever formatRefreshToken doesn't write */
export function parseRefreshToken(text: string): RefreshToken | undefined {
  const bytes = bytesOf(text, PREFIX, ID_BYTES + SECRET_BYTES + SEAL_BYTES)
  if (bytes === undefined) return undefined
  return {
    sessionId: idFrom(bytes),
    secret: bytes.subarray(ID_BYTES, ID_BYTES + SECRET_BYTES),
    seal: bytes.subarray(ID_BYTES + SECRET_BYTES),
  }
}

function sealOf(key: Uint8Array, secret: Uint8Array): Buffer {
  return hmac(key, secret).subarray(0, SEAL_BYTES)
}

// With bytes for a key createHmac() takes three times as long: it finds out by an exception that they are no KeyObject.
function hmac(key: Uint8Array, data: Uint8Array): Buffer {
  return createHmac('sha256', createSecretKey(key)).update(data).digest()
}
