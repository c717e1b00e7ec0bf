import type { HeaderSet } from './ready.ts'
import { settings } from './settings.ts'

export interface Credentials {
  readonly name: string
  readonly password: string
}

/** Names and passwords, as many as the runner asks for. The password is the same: what is checked costs the same. */
export function newCredentials(password: string): Credentials[] {
  return Array.from({ length: settings.credentials }, (_, n) => ({ name: `user-${n}@example.com`, password }))
}

/** As HTTP Basic sends them (RFC 7617). */
export function basicHeaders({ name, password }: Credentials): HeaderSet {
  return { authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}` }
}

/** The credentials of a Basic header, or undefined. */
export function basicCredentials(authorization: string | undefined): Credentials | undefined {
  if (!authorization?.startsWith('Basic ')) return undefined
  const text = Buffer.from(authorization.slice('Basic '.length), 'base64').toString()
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  return { name: text.slice(0, colon), password: text.slice(colon + 1) }
}
