import { hkdfSync, randomBytes } from 'node:crypto'

const MIN_BYTES = 32
const MIN_DISTINCT_BYTES = 10

/** What a line begins with that is no part of the secrets: `latchkey secret rotate` keeps its notes there. */
export const NOTE = '# latchkey: '

// Secrets that were printed in documentation, tutorials or RFC 7515 appendix A.1, letters and digits only, in lower case.
const publishedExamples = [
  '256bitsecret',
  '384bitsecret',
  '512bitsecret',
  'stringsecretatleast',
  'validstringsecretthatisatleast',
  'changeme',
  'changethis',
  'replaceme',
  'replacethis',
  'yoursecret',
  'yourjwtsecret',
  'yoursupersecret',
  'supersecret',
  'mysecret',
  'thisisasecret',
  'secretkey',
  'examplesecret',
  'shhhhhhh',
  'keyboardcat',
  'qwertyuiop',
  'aym1sysppbydfgzld3umj1qzkobwvmkoqqestjqlrt1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow',
]

/** A fault of JWT_SECRET, told without a word of what it says. */
export class SecretFault extends Error {
  override readonly name = 'SecretFault'
}

/**
 * Reads what JWT_SECRET holds: one secret, or several separated by commas. Each is text, or bytes behind
 * `base64:` (also base64url) or `hex:`. Lines that begin with NOTE are left out.
 *
 * @returns the secrets in the order given: the first signs, all verify
 * @throws SecretFault for a secret of fewer than 32 bytes (RFC 7518 section 3.2), one of little variety, PEM or
 *   JWK text, a published example, or the same one twice
 */
export function parseSecrets(text: string): readonly Buffer[] {
  refuseKeyFiles(text)
  const secrets = splitSecrets(text).map(parseSecret)
  const distinct = new Set(secrets.map((secret) => secret.toString('hex')))
  if (distinct.size < secrets.length) throw new SecretFault('lists the same secret twice')
  return secrets
}

/** @returns the secrets in the words in which they were given, unread */
export function splitSecrets(text: string): readonly string[] {
  const lines = text.split('\n').filter((line) => !line.startsWith(NOTE))
  return lines
    .join('\n')
    .split(',')
    .map((part) => part.trim())
}

/** A new secret of 32 random bytes, in the form that parseSecrets reads. */
export function generateSecret(): string {
  return formatSecret(randomBytes(MIN_BYTES))
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

/**
 * The secret of one audience alone, derived by HKDF-SHA256 (RFC 5869). Who holds it can verify, and could forge, tokens
 * of that audience and no others; the secret it was derived from can't be told from it.
 *
 * @param audience the string that the tokens carry in `aud`
 * @returns 32 bytes
 */
export function deriveSecret(secret: Buffer, audience: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', `latchkey audience v1:${audience}`, MIN_BYTES))
}

/** A secret in the form that parseSecrets reads. */
export function formatSecret(secret: Buffer): string {
  return `base64:${secret.toString('base64')}`
}

function parseSecret(text: string): Buffer {
  const secret = decode(text)
  if (secret.length < MIN_BYTES) throw new SecretFault(`needs at least ${MIN_BYTES} bytes in each secret`)
  refuseKeyFiles(secret.toString('latin1'))
  refuseExamples(secret.toString('latin1'))
  refuseExamples(secret.toString('base64url'))
  if (new Set(secret).size < MIN_DISTINCT_BYTES || repeats(secret)) {
    throw new SecretFault('has too little variety: make one with `latchkey secret`')
  }
  return secret
}

function decode(text: string): Buffer {
  if (text.startsWith('base64:')) {
    const digits = text.slice('base64:'.length).replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '')
    const bytes = Buffer.from(digits, 'base64')
    if (bytes.toString('base64').replace(/=+$/, '') !== digits) throw new SecretFault('is not valid base64')
    return bytes
  }
  if (text.startsWith('hex:')) {
    const digits = text.slice('hex:'.length)
    if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new SecretFault('is not valid hex')
    return Buffer.from(digits, 'hex')
  }
  return Buffer.from(text, 'utf8')
}

// RFC 8725 section 3.1: a public key taken for an HMAC secret is known to everybody.
function refuseKeyFiles(text: string): void {
  if (/-----BEGIN|"kty"|ssh-(rsa|ed25519)/.test(text)) {
    throw new SecretFault('is a key file (PEM, SSH or JWK): HS256 needs random bytes')
  }
}

function refuseExamples(text: string): void {
  const letters = text.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (publishedExamples.some((example) => letters.includes(example))) {
    throw new SecretFault('is a published example: make one with `latchkey secret`')
  }
}

// A unit that is written again and again is only as strong as the unit.
function repeats(secret: Buffer): boolean {
  for (let period = 1; period <= secret.length / 2; period++) {
    if (secret.subarray(period).equals(secret.subarray(0, secret.length - period))) return true
  }
  return false
}
