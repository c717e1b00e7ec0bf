import { createHmac, randomUUID } from 'node:crypto'
import { kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { SECRET } from './service.ts'

/** The bytes of the secret that the tests' services sign with. */
export const SECRET_BYTES = parseSecrets(SECRET)[0] as Buffer

/** A part of a token: the bytes of it, its JSON text, or the object that becomes its JSON text. */
export type Part = Buffer | string | object

/** The header of an access token of the tests' services. */
export const goodHeader = { alg: 'HS256', typ: 'at+jwt', kid: kidOf(SECRET_BYTES) }

/** @param now milliseconds since 1970 */
export function goodClaims(now: number) {
  const iat = Math.floor(now / 1_000)
  return {
    iss: 'http://localhost:3000',
    aud: 'latchkey',
    sub: randomUUID(),
    sid: randomUUID(),
    jti: randomUUID(),
    iat,
    exp: iat + 600,
    roles: ['user'],
    scope: 'account',
  }
}

/** The compact form of a part. */
export function encode(part: Part): string {
  if (Buffer.isBuffer(part)) return part.toString('base64url')
  return Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')
}

/** Signs any two parts, byte by byte as they are given, with HMAC of any hash. */
export function handMade(header: Part, payload: Part, secret = SECRET_BYTES, hash = 'sha256'): string {
  const input = `${encode(header)}.${encode(payload)}`
  return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`
}
