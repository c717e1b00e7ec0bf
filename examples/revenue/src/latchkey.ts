import { createClient, LatchkeyError } from 'latchkey/client'

/** The server puts the address of Latchkey into the page. */
const baseUrl = document.querySelector<HTMLMetaElement>('meta[name=latchkey]')?.content ?? ''

/**
 * The one client of this page. The page and Latchkey are on the same site, so the refresh token is in a cookie that no
 * script can read; the access token goes to Latchkey, and to the server that this page comes from.
 */
export const latchkey = createClient({ baseUrl, transport: 'cookie', audiences: [location.origin] })

/** Our own server gave no answer, or one that is no success. */
export class ServerError extends Error {
  /** As the guard says it, such as `insufficient_scope`; undefined where the server is away. */
  declare readonly code: string | undefined

  constructor(code?: string, cause?: unknown) {
    super(code ?? 'The server can’t be reached.', { cause })
    this.code = code
  }
}

/** Asks our own server, with the access token. @throws ServerError; LatchkeyError where Latchkey has no token to give */
export async function load<Answer>(path: string, signal: AbortSignal): Promise<Answer> {
  const response = await latchkey.fetch(path, { signal }).catch((error: unknown) => {
    // As fetch() says that no answer came.
    throw error instanceof TypeError ? new ServerError(undefined, error) : error
  })
  if (response.ok) return response.json()
  // What stands between may answer something else than JSON.
  const { code = `status_${response.status}` } = await response.json().catch(() => ({}))
  throw new ServerError(code)
}

/** Whether it isn't about what was asked: somebody has to come back first. */
export function isOutage(error: unknown): boolean {
  if (error instanceof LatchkeyError) return error.code === 'network_error' || error.status >= 500
  return error instanceof ServerError ? error.code === undefined : isTimeout(error)
}

export const isTimeout = (error: unknown) => error instanceof DOMException && error.name === 'TimeoutError'
