import type { components } from './api.ts'

type Problem = components['schemas']['Problem']

/**
 * The service's codes, and four of the client's own: network_error where no answer came, invalid_response where it was
 * none of the service's, untrusted_origin where a token would have gone somewhere it must not, and aborted where an
 * AbortSignal gives no reason of its own.
 */
export type LatchkeyErrorCode =
  | Problem['code']
  | 'network_error'
  | 'invalid_response'
  | 'untrusted_origin'
  | 'aborted'

/** Whatever is no success. What a signal aborts rejects with the signal's reason, as fetch() does. */
export class LatchkeyError extends Error {
  declare readonly name: 'LatchkeyError'
  declare readonly code: LatchkeyErrorCode
  /** The HTTP status; 0 where there was no answer. */
  declare readonly status: number
  /** By which the service's log knows the request. */
  declare readonly request_id: string | undefined
  /** Faults of single fields; none where it is about something else. */
  declare readonly errors: NonNullable<Problem['errors']>
  /** Seconds after which trying again makes sense (RFC 9110 section 10.2.3). */
  declare readonly retryAfter: number | undefined

  /** @param problem what the service said of it (RFC 9457); `cause` what broke underneath */
  constructor(
    code: LatchkeyErrorCode,
    problem: Partial<Problem> & { readonly retryAfter?: number | undefined; readonly cause?: unknown } = {},
  ) {
    const { detail = code, status = 0, request_id, errors = [], retryAfter, cause } = problem
    super(detail, { cause })
    Object.assign(this, { name: 'LatchkeyError', code, status, request_id, errors, retryAfter })
  }
}
