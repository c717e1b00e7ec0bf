import { LatchkeyError } from './error.ts'

/** The seconds of a Retry-After: a number of them, or a date (RFC 9110 section 10.2.3). */
function retryAfterOf({ headers }: Response): number | undefined {
  const value = headers.get('retry-after') ?? ''
  const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1_000
  return seconds >= 0 ? seconds : undefined
}

/**
 * Reads an answer of the service.
 *
 * @returns its JSON, or its text where it is something else; undefined where there is none
 * @throws LatchkeyError for every status but 2xx, and for what isn't the service's
 */
export async function readAnswer(response: Response): Promise<unknown> {
  const { status, ok } = response
  const text = await response.text()
  const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '')
  let body: unknown
  try {
    body = isJson ? JSON.parse(text) : text || undefined
  } catch (cause) {
    throw new LatchkeyError('invalid_response', { status, cause })
  }
  if (ok) return body
  const retryAfter = retryAfterOf(response)
  // A proxy's page is no problem of the service's, and must not be taken for its word.
  const { code = 'invalid_response', ...problem } = Object(isJson && body)
  throw new LatchkeyError(code, { ...problem, status, retryAfter })
}

/**
 * Sends a request to the service, and reads the answer.
 *
 * @param send fetches: a TypeError says that no answer came (https://fetch.spec.whatwg.org/#fetch-method)
 * @throws LatchkeyError; whatever else `send` throws, such as the reason of a signal
 */
export async function exchange(send: () => Promise<Response>): Promise<unknown> {
  try {
    return await readAnswer(await send())
  } catch (cause) {
    throw cause instanceof TypeError ? new LatchkeyError('network_error', { cause }) : cause
  }
}

/** The code of a problem that a server answers, if it is one. The answer can still be read, and fails if this did. */
export async function codeOf(response: Response): Promise<string | undefined> {
  const error: unknown = await readAnswer(response.clone()).catch((error: unknown) => error)
  return Object(error).code
}
