import { createHmac, createSecretKey } from 'node:crypto'
import { AUDIENCE, ISSUER, newClaims } from './claims.ts'
import type { HeaderSet } from './ready.ts'
import { settings } from './settings.ts'

/** The key, prepared once. */
export const key = createSecretKey(settings.secret)

/** What every contender checks of a token beside its signature and its times, as most libraries name it. */
export const verifyOptions = { algorithms: ['HS256' as const], issuer: ISSUER, audience: AUDIENCE }

/** Headers with a signed token (HS256) each, as many as the runner asks for. */
export function tokenHeaders(): HeaderSet[] {
  return Array.from({ length: settings.credentials }, () => ({ authorization: `Bearer ${newToken()}` }))
}

/** The token of a Bearer header, or undefined. */
export function bearerToken(authorization: string | undefined): string | undefined {
  return authorization?.startsWith('Bearer ') ? authorization.slice('Bearer '.length) : undefined
}

function newToken(): string {
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(newClaims())}`
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
