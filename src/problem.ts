/**
 * Everything that can be answered other than success: one table of codes, one error type.
 *
 * The code is the stable part of the contract. `challenge` says which WWW-Authenticate a status carries
 * (RFC 6750 section 3): `bare` names the realm alone, any other value is the `error` it states.
 */
type Challenge = 'bare' | 'invalid_token' | 'invalid_request' | 'insufficient_scope'

interface ProblemKind {
  readonly status: number
  readonly title: string
  readonly challenge?: Challenge
  /** Seconds after which trying again makes sense (RFC 9110 section 10.2.3). */
  readonly retryAfter?: number
}

export const problemKinds = {
  invalid_request: { status: 400, title: 'The request is not valid.' },
  malformed_json: { status: 400, title: 'The body is not JSON in UTF-8.' },
  invalid_credentials: { status: 401, title: 'Address or password is wrong.', challenge: 'bare' },
  token_missing: { status: 401, title: 'An access token is needed.', challenge: 'bare' },
  token_invalid: { status: 401, title: 'The access token is not valid.', challenge: 'invalid_token' },
  token_expired: { status: 401, title: 'The access token has expired.', challenge: 'invalid_token' },
  token_revoked: { status: 401, title: 'The session has ended.', challenge: 'invalid_token' },
  token_stale: {
    status: 401,
    title: 'The account has other roles by now: refresh.',
    challenge: 'invalid_token',
  },
  refresh_token_invalid: {
    status: 401,
    title: 'The refresh token is not valid.',
    challenge: 'invalid_token',
  },
  refresh_token_reused: {
    status: 401,
    title: 'The refresh token was used before; its session has ended.',
    challenge: 'invalid_token',
  },
  insufficient_scope: { status: 403, title: 'The scope does not reach.', challenge: 'insufficient_scope' },
  insufficient_role: { status: 403, title: 'The role does not reach.', challenge: 'insufficient_scope' },
  account_disabled: { status: 403, title: 'The account is disabled.' },
  origin_not_allowed: { status: 403, title: 'This page may not use the cookie.' },
  not_found: { status: 404, title: 'There is nothing here.' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here.' },
  request_timeout: { status: 408, title: 'The request did not arrive in time.' },
  email_taken: { status: 409, title: 'The address has an account.' },
  last_admin: { status: 409, title: 'It is the last admin that can sign in.' },
  cursor_gone: { status: 410, title: 'From there on nothing can be told: start again without a cursor.' },
  payload_too_large: { status: 413, title: 'The body is too large.' },
  unsupported_media_type: { status: 415, title: 'The body must be application/json.' },
  password_too_weak: { status: 422, title: 'The password is too weak.' },
  too_many_attempts: { status: 429, title: 'Too many attempts.' },
  headers_too_large: { status: 431, title: 'The headers are too large.' },
  internal_error: { status: 500, title: 'Something went wrong here.' },
  overloaded: { status: 503, title: 'Too much to do right now.', retryAfter: 1 },
  database_unavailable: { status: 503, title: 'The database does not answer.', retryAfter: 2 },
  revocations_stale: {
    status: 503,
    title: 'This node has not heard of revocations for too long.',
    retryAfter: 1,
  },
  shutting_down: { status: 503, title: 'This node is shutting down.', retryAfter: 1 },
} as const satisfies Record<string, ProblemKind>

export type ProblemCode = keyof typeof problemKinds

/** One fault of one field: where it is, as `a.b.0`, and what is wrong with it. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

export interface ProblemOptions {
  /** What happened this time, in a sentence that is fit to be shown; never a secret. */
  readonly detail?: string
  readonly errors?: readonly FieldError[]
  readonly headers?: Readonly<Record<string, string>>
  /** Replaces the challenge of the table. */
  readonly challenge?: Challenge
  /** The scope or role that would have been needed, named in the challenge. */
  readonly scope?: string
  /** What broke underneath: for the log, never for the client. */
  readonly cause?: unknown
}

/** The one error that rules throw. http/errors.ts turns it into RFC 9457 problem+json. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly kind: ProblemKind
  readonly errors: readonly FieldError[] | undefined
  readonly #options: ProblemOptions

  /** @param code the row of the table; `options` what is particular to this time */
  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    super(options.detail ?? problemKinds[code].title, { cause: options.cause })
    this.code = code
    this.kind = problemKinds[code]
    this.errors = options.errors
    this.#options = options
  }

  /** The headers the answer carries, names in lower case: challenge, Retry-After and whatever was given. */
  get headers(): Record<string, string> {
    const headers: Record<string, string> = { ...this.#options.headers }
    const challenge = this.#options.challenge ?? this.kind.challenge
    if (challenge !== undefined) headers['www-authenticate'] = this.#challenge(challenge)
    if (this.kind.retryAfter !== undefined) headers['retry-after'] ??= String(this.kind.retryAfter)
    return headers
  }

  // RFC 6750 section 3: no error code where the request carried no token.
  #challenge(challenge: Challenge): string {
    if (challenge === 'bare') return 'Bearer realm="latchkey"'
    const scope = this.#options.scope === undefined ? '' : `, scope="${this.#options.scope}"`
    return `Bearer realm="latchkey", error="${challenge}", error_description="${this.message}"${scope}`
  }
}

/** The body of every answer that is no success: RFC 9457. */
export interface ProblemDetails {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ProblemCode
  readonly request_id: string
  readonly errors?: FieldError[]
}

/** A problem as it goes over the wire. */
export function problemBody({ code, kind, message, errors }: Problem, requestId: string): ProblemDetails {
  return {
    type: `urn:latchkey:problem:${code}`,
    title: kind.title,
    status: kind.status,
    detail: message,
    code,
    request_id: requestId,
    ...(errors && { errors: [...errors] }),
  }
}
