const WELL_FORMED = /^[\w.-]{1,64}$/

/**
 * The id of a request: the client's own if it is well-formed, else a new one.
 *
 * @param given what X-Request-Id says, if anything
 */
export function requestIdFrom(given: unknown): string {
  return typeof given === 'string' && WELL_FORMED.test(given) ? given : crypto.randomUUID()
}
