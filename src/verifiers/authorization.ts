import type { IncomingMessage } from 'node:http'

/**
 * The Authorization header of a request to a Node.js server. Of several Node.js keeps the first and forgets the others:
 * here they are joined by commas, as RFC 9110 section 5.3 has it, and so are refused.
 */
export function authorizationOf({
  headers,
  rawHeaders,
}: Pick<IncomingMessage, 'headers' | 'rawHeaders'>): string | undefined {
  // Names and values take turns.
  const values = rawHeaders.filter(
    (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === 'authorization',
  )
  return values.length > 1 ? values.join(', ') : headers.authorization
}
