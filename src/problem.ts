/**
 * Everything that can be answered other than success: one table of codes, one error type.
 *
 * The code is the stable part of the contract. `challenge` says which WWW-Authenticate a status carries
 * (RFC 6750 section 3): `bare` names the realm alone, any other value is the `error` it states.
 */
type Challenge = 'bare' | 'invalid_token' | 'invalid_request' | 'insufficient_scope'

export interface ProblemKind {
  readonly status: number
  readonly title: string
  readonly challenge?: Challenge
  /** Seconds after which trying again makes sense (RFC 9110 section 10.2.3). */
  readonly retryAfter?: number
  /** When it is answered, and what a client does then: docs/errors.md is made of these. */
  readonly when: string
  readonly remedy: string
}

export const problemKinds = {
  invalid_request: {
    status: 400,
    title: 'The request is not valid.',
    when:
      'A field of the body, path or query is missing, unknown or has a wrong form (`errors` names each), ' +
      "a scope or audience is asked for that can't be had, or the request isn't proper HTTP.",
    remedy: 'Correct the request. The same one fails again.',
  },
  malformed_json: {
    status: 400,
    title: 'The body is not JSON in UTF-8.',
    when: "The body can't be parsed, or isn't UTF-8.",
    remedy: 'Send JSON; the same body fails again.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Address or password is wrong.',
    challenge: 'bare',
    when:
      "A login with an address that has no account or a password that isn't its own: which of the two " +
      "isn't told. Also a wrong `current_password`, and a service's credential that isn't valid.",
    remedy: "Let the person type again. Don't repeat it by itself: it counts as an attempt.",
  },
  token_missing: {
    status: 401,
    title: 'An access token is needed.',
    challenge: 'bare',
    when: 'A guarded route was asked without `Authorization: Bearer` and a token.',
    remedy: 'Log in, and send the access token.',
  },
  token_invalid: {
    status: 401,
    title: 'The access token is not valid.',
    challenge: 'invalid_token',
    when:
      'The access token was changed, is for another audience or issuer, or was signed by a secret that is' +
      ' no longer in force.',
    remedy:
      'Refresh once. If the new token is refused as well, sender and verifier are configured differently.',
  },
  token_expired: {
    status: 401,
    title: 'The access token has expired.',
    challenge: 'invalid_token',
    when: 'The access token is older than its `expires_in`.',
    remedy: 'Refresh, and send the request again.',
  },
  token_revoked: {
    status: 401,
    title: 'The session has ended.',
    challenge: 'invalid_token',
    when:
      'The session of the access token has ended: by a log-out, a changed password, an operator, or the ' +
      'end of the account.',
    remedy: 'Refresh, to be sure; if that is refused too, let the person log in.',
  },
  token_stale: {
    status: 401,
    title: 'The account has other roles by now: refresh.',
    challenge: 'invalid_token',
    when: 'The account was given other roles after the access token was made.',
    remedy: 'Refresh, and send the request again: the new token has the new roles.',
  },
  refresh_token_invalid: {
    status: 401,
    title: 'The refresh token is not valid.',
    challenge: 'invalid_token',
    when:
      "The refresh token isn't one of ours, its session has ended or was unused for too long, or there is" +
      ' no cookie in cookie mode.',
    remedy: 'Forget both tokens, and let the person log in.',
  },
  refresh_token_reused: {
    status: 401,
    title: 'The refresh token was used before; its session has ended.',
    challenge: 'invalid_token',
    when:
      'A refresh token came back that was exchanged more than 10 s ago, or twice since: two have it, and ' +
      'one of them may be a thief. The session is over for both.',
    remedy:
      'Forget both tokens, and let the person log in. If it keeps happening, two parts of your program ' +
      'refresh with one token.',
  },
  insufficient_scope: {
    status: 403,
    title: 'The scope does not reach.',
    challenge: 'insufficient_scope',
    when: 'The access token lacks the scope that the route asks for; `detail` names it.',
    remedy: "Don't repeat it. Ask for the scope at login or refresh, if the account's roles bring it.",
  },
  insufficient_role: {
    status: 403,
    title: 'The role does not reach.',
    challenge: 'insufficient_scope',
    when: 'The access token lacks the role that the route asks for; `detail` names it.',
    remedy: "Don't repeat it. An operator gives roles.",
  },
  account_disabled: {
    status: 403,
    title: 'The account is disabled.',
    when:
      'An operator has disabled the account; told only to who knows its password, refresh token or ' +
      'credential.',
    remedy: 'Tell the person. Logging in works again once an operator enables it.',
  },
  origin_not_allowed: {
    status: 403,
    title: 'This page may not use the cookie.',
    when:
      "Cookie mode was asked for by a page whose origin isn't in `CORS_ORIGINS`, or without the header " +
      '`Latchkey-Transport: cookie`.',
    remedy: 'Add the origin to `CORS_ORIGINS`, exactly as the browser sends it.',
  },
  not_found: {
    status: 404,
    title: 'There is nothing here.',
    when: 'There is no such route, or nothing with that id that you may see.',
    remedy: "Don't repeat it.",
  },
  method_not_allowed: {
    status: 405,
    title: 'The method is not allowed here.',
    when: 'The path has other methods; `Allow` lists them.',
    remedy: 'Use one of those.',
  },
  request_timeout: {
    status: 408,
    title: 'The request did not arrive in time.',
    when: 'Headers or body took too long to arrive.',
    remedy: 'Send it again, when the network is better.',
  },
  email_taken: {
    status: 409,
    title: 'The address has an account.',
    when: 'Somebody signed up with that address, or changed to it.',
    remedy: 'Offer to log in, or take another address.',
  },
  last_admin: {
    status: 409,
    title: 'It is the last admin that can sign in.',
    when: 'The change would leave nobody who can sign in with the role `admin`.',
    remedy: 'Give somebody else the role first.',
  },
  cursor_gone: {
    status: 410,
    title: 'From there on nothing can be told: start again without a cursor.',
    when: 'The cursor of the revocation feed is of another database, or too old.',
    remedy: 'Ask without a cursor, and keep what you know until all is told.',
  },
  payload_too_large: {
    status: 413,
    title: 'The body is too large.',
    when: 'The body has more than 16 KiB.',
    remedy: "Don't repeat it: no request needs as much.",
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body must be application/json.',
    when: 'The body has another Content-Type than `application/json`, or none.',
    remedy: 'Say `Content-Type: application/json`.',
  },
  password_too_weak: {
    status: 422,
    title: 'The password is too weak.',
    when: 'The new password is too short or too common; `errors` says which.',
    remedy: 'Let the person choose another.',
  },
  too_many_attempts: {
    status: 429,
    title: 'Too many attempts.',
    when: 'Too many failed at this account, from this address, or in this session.',
    remedy:
      "Wait for the seconds in `Retry-After`. Trying sooner doesn't help, and nothing is looked at " +
      'meanwhile.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large.',
    when: 'The headers have more than 16 KiB together.',
    remedy: 'Send fewer or smaller ones: often it is cookies of others on the same host.',
  },
  internal_error: {
    status: 500,
    title: 'Something went wrong here.',
    when: 'A fault of ours. The log has it under `request_id`.',
    remedy: 'Try again later, and tell the operator the `request_id`.',
  },
  overloaded: {
    status: 503,
    title: 'Too much to do right now.',
    retryAfter: 1,
    when: 'So much is asked that waiting would take too long. Nothing was done.',
    remedy: 'Wait for `Retry-After` and some random time more, and send it again.',
  },
  database_unavailable: {
    status: 503,
    title: 'The database does not answer.',
    retryAfter: 2,
    when: 'What was asked needs the database, and that is away. Guarded requests go on.',
    remedy: 'Wait for `Retry-After`, and send it again. Nobody is signed out by it.',
  },
  revocations_stale: {
    status: 503,
    title: 'This node has not heard of revocations for too long.',
    retryAfter: 1,
    when:
      "`REVOCATION_MAX_STALENESS` (or a service's `maxStaleness`) is set, and nothing was heard of " +
      'revocations for as long.',
    remedy: 'Wait for `Retry-After`, and send it again. Nobody is signed out by it.',
  },
  shutting_down: {
    status: 503,
    title: 'This node is shutting down.',
    retryAfter: 1,
    when: '`/readyz` alone: the node finishes what it has accepted, and ends.',
    remedy: 'Send what is new to another node.',
  },
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
