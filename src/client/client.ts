import type { components } from './api.ts'
import { LatchkeyError } from './error.ts'
import { codeOf, exchange } from './http.ts'
import { targetOf, trustedOrigins, urlOf } from './origins.ts'
import type { Route, RouteAnswer, RouteArguments } from './routes.ts'
import { createKeeper, type SessionEvent, type SignedOutReason } from './session.ts'
import { memoryStorage, type SessionStorage } from './storage.ts'
import { unlessAborted } from './wait.ts'

export { LatchkeyError, type LatchkeyErrorCode } from './error.ts'
export { asyncStorage, memoryStorage, type SessionStorage, type WebStorage, webStorage } from './storage.ts'
export type { Route, RouteAnswer, RouteArguments, SessionEvent, SignedOutReason }

type Schemas = components['schemas']
export type Account = Schemas['Account']
export type Session = Schemas['Session']
export type Claims = Schemas['Claims']

export interface ClientOptions {
  /** Where Latchkey is: an absolute URL, https: or http:. */
  readonly baseUrl: string
  /** Where the session is kept; in memory unless it is given. In cookie mode there is nothing to keep. */
  readonly storage?: SessionStorage | undefined
  /**
   * How the refresh token travels: in bodies, or in a cookie that no script can read, for pages on the same site as
   * Latchkey. The access token is then in memory alone.
   */
  readonly transport?: 'body' | 'cookie' | undefined
  /** Further origins that the access token may be sent to: `https://api.example.com`. */
  readonly audiences?: readonly string[] | undefined
  /** Takes the place of the global fetch(). */
  readonly fetch?: typeof fetch | undefined
}

export interface Abortable {
  /** Aborts this call, and nothing that others wait for too. */
  readonly signal?: AbortSignal | undefined
}

interface Call extends Abortable {
  readonly path?: object | undefined
  readonly query?: object | undefined
  readonly body?: unknown
}

export type Client = ReturnType<typeof createClient>

// What a new access token may help against. An unknown secret (token_invalid) is one that was replaced at once, and
// whether a session has ended (token_revoked) is for the refresh to say.
const RENEWABLE = /^token_(expired|stale|invalid|revoked)$/

/**
 * A client of Latchkey for one user at a time: it keeps the session and the tokens fresh. Everything rejects with
 * LatchkeyError, or with the reason of a signal that was aborted.
 *
 * @throws TypeError for a baseUrl or audience that is no absolute URL
 */
export function createClient(options: ClientOptions) {
  const { transport = 'body', storage = memoryStorage(), audiences = [] } = options
  const base = options.baseUrl.replace(/\/+$/, '')
  const trusted = trustedOrigins([base, ...audiences])
  const send: typeof fetch = (input, init) => (options.fetch ?? fetch)(input, init)
  const isCookie = transport === 'cookie'
  const byCookie = isCookie ? { transport } : {}

  const keeper = createKeeper({
    key: `latchkey:${base}`,
    storage: isCookie ? undefined : storage,
    renew: (wish, signal) => post('/auth/refresh', wish, signal),
  })

  /** Sends what is for the service alone. It never redirects: whoever does is somebody else. */
  async function sendOwn(
    method: string,
    url: string,
    { body, signal }: Call,
    token?: string,
  ): Promise<Response> {
    const response = await send(url, {
      method,
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        // No other site's page can send this without leave (CORS), nor a form.
        ...(isCookie && { 'latchkey-transport': transport }),
      },
      credentials: isCookie ? 'include' : 'omit',
      redirect: 'error',
      // The answer may set the cookie though the page is gone.
      keepalive: isCookie,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    })
    keeper.measure(response)
    return response
  }

  function post(path: string, body: object, signal: AbortSignal | undefined): Promise<unknown> {
    return exchange(() => sendOwn('POST', base + path, { body: { ...body, ...byCookie }, signal }))
  }

  let hopeless: string | undefined

  /** Sends with the token, and once more with another where that may help. */
  async function withToken(
    sendWith: (token: string | undefined) => Promise<Response>,
    signal: AbortSignal | null | undefined,
    canRepeat = true,
  ): Promise<Response> {
    const token = await unlessAborted(keeper.token(), signal)
    const response = await sendWith(token)
    if (token === undefined || response.status !== 401) return response
    const code = await codeOf(response)
    if (!RENEWABLE.test(code as string) || (token === hopeless && code !== 'token_expired')) return response
    let other: string | undefined
    try {
      other = await unlessAborted(keeper.token(token), signal)
    } catch (error) {
      // It has ended: then the first answer says it all.
      if (keeper.isSignedIn()) throw error
    }
    if (other === undefined || !canRepeat) return response
    const again = await sendWith(other)
    // A server that refuses what was just issued is not asked for more.
    if (again.status === 401) hopeless = other
    return again
  }

  async function call(route: string, { path, query, ...rest }: Call = {}): Promise<unknown> {
    const [method = '', template = ''] = route.split(' ')
    const url = base + urlOf(template, path, query)
    return exchange(() => withToken((token) => sendOwn(method, url, rest, token), rest.signal))
  }

  async function request<R extends Route>(route: R, ...[given]: RouteArguments<R>): Promise<RouteAnswer<R>> {
    return (await call(route, given)) as RouteAnswer<R>
  }

  return {
    /** Makes an account and signs in. @returns the account */
    async signUp(
      form: Omit<Schemas['SignupRequest'], 'transport'>,
      { signal }: Abortable = {},
    ): Promise<Account> {
      let account: unknown
      const open = async () => {
        const answer = Object(await post('/auth/signup', form, signal))
        account = answer.account
        return answer.tokens
      }
      await keeper.open(open, undefined, signal)
      return account as Account
    },

    /** Signs in; the access token is for `audience`, and so is every one that comes after it. */
    async logIn(form: Omit<Schemas['LoginRequest'], 'transport'>, { signal }: Abortable = {}): Promise<void> {
      await keeper.open(() => post('/auth/login', form, signal), form.audience, signal)
    },

    /**
     * Ends this session, the others of the account, or all. Where the service can't be told it rejects: the session then
     * lasts on there. Here it is gone all the same if it is this one that was to end, but not in cookie mode: a cookie
     * can't be removed without the service.
     */
    async logOut(
      { scope = 'this' }: Pick<Schemas['LogoutRequest'], 'scope'> = {},
      { signal }: Abortable = {},
    ): Promise<void> {
      if (!keeper.isSignedIn() && !(await unlessAborted(keeper.restore(), signal))) return
      try {
        await call('POST /auth/logout', { body: { scope, ...byCookie }, signal })
      } catch (error) {
        if (!keeper.isSignedIn()) return
        if (error instanceof LatchkeyError && scope === 'this' && !isCookie) await keeper.drop('log_out')
        throw error
      }
      if (scope !== 'others') await keeper.drop('log_out')
    },

    /** Finds the session that there is: in the storage, or in cookie mode by a refresh. @returns whether there is one */
    restore: ({ signal }: Abortable = {}): Promise<boolean> => unlessAborted(keeper.restore(), signal),

    /** Whether there is a session, as far as is known here and now. */
    get isSignedIn(): boolean {
      return keeper.isSignedIn()
    },

    /** The claims of the access token, verified by the service. */
    me: (options?: Abortable): Promise<Claims> => request('GET /me', options),

    account: {
      read: (options?: Abortable): Promise<Account> => request('GET /account', options),
      update: (body: Schemas['AccountChange'], options?: Abortable): Promise<Account> =>
        request('PATCH /account', { ...options, body }),
      /** The other sessions of the account end. */
      changePassword: (body: Schemas['PasswordChange'], options?: Abortable): Promise<void> =>
        request('PUT /account/password', { ...options, body }),
      /** Removes the account with everything that belongs to it. */
      async remove(body: Schemas['AccountDeletion'], options?: Abortable): Promise<void> {
        await request('DELETE /account', { ...options, body })
        await keeper.drop('account_removed')
      },
    },

    sessions: {
      list: async (options?: Abortable): Promise<Session[]> =>
        (await request('GET /account/sessions', options)).sessions,
      end: (id: string, options?: Abortable): Promise<void> =>
        request('DELETE /account/sessions/{id}', { ...options, path: { id } }),
    },

    /**
     * As fetch(), with the access token: for baseUrl's origin and the origins in `audiences`, and for no other. A redirect
     * is an error unless init.redirect allows it. Where nobody is signed in the request goes without a token. A body that
     * is a stream can't be sent twice: then a 401 is the answer.
     *
     * @throws LatchkeyError untrusted_origin
     */
    async fetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
      const request = input instanceof Request ? input : undefined
      const url = targetOf(request?.url ?? String(input), trusted)
      const signal = init.signal ?? request?.signal
      const sendWith = (token: string | undefined) => {
        const headers = new Headers(init.headers ?? request?.headers)
        if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
        return send(request?.clone() ?? url, { ...init, redirect: init.redirect ?? 'error', headers })
      }
      return withToken(sendWith, signal, !('getReader' in Object(init.body)))
    },

    /** Calls any endpoint: `request('GET /admin/accounts', { query: { q: 'ada' } })`. @returns what it answers */
    request,

    /** Calls a listener for everything that happens to the session, in this tab or another. @returns what stops that */
    onChange: keeper.onChange,

    /** Hears no more of other tabs. */
    close: keeper.close,
  }
}
