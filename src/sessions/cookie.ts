import { parseCookie, stringifySetCookie } from 'cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem, type ProblemCode } from '../problem.ts'
import type { Tokens } from './issue.ts'

/** How a refresh token travels: in bodies, or in a cookie that no script can read. */
export type Transport = 'body' | 'cookie'

// Browsers keep it for this host alone, and take it from no subdomain (RFC 6265bis section 4.1.3.2). The prefix asks
// for Path=/, so it comes with every request to the host; nothing but a refresh reads it.
const NAME = '__Host-latchkey'

// Removed with what it was set with: to answers that came from another site browsers apply neither (section 5.7).
const attributes = { name: NAME, path: '/', secure: true, httpOnly: true, sameSite: 'strict' } as const
const removal = stringifySetCookie({ ...attributes, value: '', maxAge: 0 })

/** @throws Problem origin_not_allowed */
export type CheckOrigin = (transport: Transport, request: Pick<FastifyRequest, 'headers'>) => void

/**
 * What lets pages of the given origins use the cookie, and nobody else's: a browser sends the cookie by itself, whoever
 * made it ask. The header takes a preflight, which other pages don't pass; the Origin can't be set by a page.
 *
 * @param issuer whose origin, if it is a URL, is where the service's own pages are
 * @returns a check that lets pass all that doesn't ask for the cookie
 */
export function createOriginCheck({
  corsOrigins,
  issuer,
}: {
  readonly corsOrigins: readonly string[]
  readonly issuer: string
}): CheckOrigin {
  const allowed = new Set<unknown>(corsOrigins)
  // Of a URN it would be "null", which is what a sandboxed frame sends.
  if (/^https?:/i.test(issuer) && URL.canParse(issuer)) allowed.add(new URL(issuer).origin)

  return (transport, { headers }) => {
    if (transport === 'body') return
    if (headers['latchkey-transport'] === 'cookie' && allowed.has(headers.origin)) return
    throw new Problem('origin_not_allowed', {
      detail:
        'The cookie is for pages of CORS_ORIGINS and of the service itself, with the header Latchkey-Transport: cookie.',
    })
  }
}

/**
 * The refresh token of a request in cookie mode.
 *
 * @throws Problem refresh_token_invalid if there is no cookie; invalid_request if there are several of its name, as one
 *   of them isn't ours
 */
export function tokenInCookie({ headers: { cookie = '' } }: Pick<FastifyRequest, 'headers'>): string {
  // Each by itself, as of several of one name the package keeps the first.
  const tokens = cookie.split(';').flatMap((pair) => parseCookie(pair, asItIs)[NAME] ?? [])
  if (tokens.length > 1) {
    throw new Problem('invalid_request', { detail: `The cookie ${NAME} must come once.` })
  }
  const [token] = tokens
  // Not counted as an attempt: so comes everybody who isn't signed in.
  if (token === undefined) throw new Problem('refresh_token_invalid', { detail: 'There is no cookie.' })
  return token
}

const asItIs = { decode: (value: string) => value }

/** In cookie mode, gives the refresh token to the browser for as long as it is good. */
export function setCookie(
  reply: FastifyReply,
  transport: Transport,
  { refreshToken, refreshTokenExpiresIn }: Tokens,
): void {
  if (transport === 'body') return
  const cookie = { ...attributes, value: refreshToken, maxAge: refreshTokenExpiresIn }
  reply.header('set-cookie', stringifySetCookie(cookie))
}

/** In cookie mode, makes the browser forget the refresh token. */
export function removeCookie(reply: FastifyReply, transport: Transport): void {
  if (transport === 'cookie') reply.header('set-cookie', removal)
}

/** Whether a refresh was refused so that its token will never be good again. */
export function isWorthless(error: unknown): boolean {
  const { code } = error as Partial<Problem>
  return worthless.has(code)
}

const worthless = new Set<ProblemCode | undefined>(['refresh_token_invalid', 'refresh_token_reused'])
