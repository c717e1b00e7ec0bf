import { randomUUIDv7 } from 'node:crypto'

export const ISSUER = 'http://localhost:3000'
export const AUDIENCE = 'latchkey'

/** How long a credential is good for, in seconds: longer than any bench takes. */
export const TTL = 6 * 3_600

/** What a contender answers: the claims of an access token of Latchkey's. */
export interface Claims {
  readonly sub: string
  readonly sid: string
  readonly roles: readonly string[]
  readonly scope: string
  readonly iss: string
  readonly aud: string
  readonly iat: number
  readonly exp: number
  readonly jti: string
}

/** Claims of somebody new, in the order and with the lengths of Latchkey's GET /me. */
export function newClaims(): Claims {
  const iat = Math.floor(Date.now() / 1_000)
  return {
    sub: randomUUIDv7(),
    sid: randomUUIDv7(),
    roles: ['user'],
    scope: 'account',
    iss: ISSUER,
    aud: AUDIENCE,
    iat,
    exp: iat + TTL,
    jti: randomUUIDv7(),
  }
}

const text = { type: 'string' } as const
const seconds = { type: 'integer' } as const

/** The same as a JSON schema, for what can prepare a serializer. */
export const claimsSchema = {
  type: 'object',
  properties: {
    sub: text,
    sid: text,
    roles: { type: 'array', items: text },
    scope: text,
    iss: text,
    aud: text,
    iat: seconds,
    exp: seconds,
    jti: text,
  },
} as const
