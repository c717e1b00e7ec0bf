import { parseSetCookie, type SetCookie } from 'cookie'
import type { LightMyRequestResponse } from 'fastify'
import type { TestService } from './service.ts'

/** A page that may use the cookie, and the environment of a service that lets it. */
export const PAGE = 'https://app.example.com'
export const COOKIE_ENV = { CORS_ORIGINS: PAGE, JWT_ISSUER: 'https://auth.example.com' }

/** What such a page sends. */
export const COOKIE_HEADERS = { origin: PAGE, 'latchkey-transport': 'cookie' }

/** The one cookie that an answer sets or removes; undefined where it has none. */
export function cookieOf({ headers }: LightMyRequestResponse): SetCookie | undefined {
  const set = headers['set-cookie']
  if (Array.isArray(set)) throw new Error(`it sets ${set.length} cookies`)
  return set === undefined ? undefined : parseSetCookie(set)
}

/** The value of the cookie that an answer sets. */
export function tokenOf(reply: LightMyRequestResponse): string {
  const { name, value } = cookieOf(reply) ?? {}
  if (name !== '__Host-latchkey' || !value)
    throw new Error(`${reply.statusCode} gives no token: ${reply.body}`)
  return value
}

/** Asks as such a page does: with `transport: "cookie"`, and with the cookie if there is one. */
export function sendFromPage(
  service: TestService,
  path: string,
  {
    body,
    cookie,
    token,
    headers,
  }: { body?: object; cookie?: string; token?: string; headers?: Record<string, string> } = {},
): Promise<LightMyRequestResponse> {
  return service.send('POST', path, {
    body: { transport: 'cookie', ...body },
    headers: { ...COOKIE_HEADERS, ...(cookie !== undefined && { cookie }), ...headers },
    ...(token !== undefined && { token }),
  })
}

/** Refreshes as such a page does, by a cookie of that token. */
export function refreshByCookie(service: TestService, token: string, body: object = {}) {
  return sendFromPage(service, '/auth/refresh', { cookie: `__Host-latchkey=${token}`, body })
}
