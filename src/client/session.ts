import type { components } from './api.ts'
import { LatchkeyError } from './error.ts'
import type { SessionStorage } from './storage.ts'
import { createTabs } from './tabs.ts'
import { backOff, pause } from './wait.ts'

/** Tokens as the service gives them. In cookie mode the refresh token isn't among them. */
export type Tokens = Pick<components['schemas']['Tokens'], 'access_token' | 'expires_in'> & {
  readonly refresh_token?: string | undefined
}

/** Why nobody is signed in any more. */
export type SignedOutReason =
  | 'log_out'
  | 'account_removed'
  | 'session_ended'
  | 'account_disabled'
  | 'other_tab'

/** What happened to the session, in this tab or another. */
export type SessionEvent =
  | { readonly type: 'signed_in' }
  | { readonly type: 'refreshed' }
  | { readonly type: 'signed_out'; readonly reason: SignedOutReason }

/** A session as it is kept. */
interface Kept {
  /** When it was opened, and when it came to be what it is: of two the later one holds. Milliseconds since 1970. */
  readonly id: number
  readonly at: number
  readonly access_token: string
  /** When the access token expires, by the service's clock, and how long it lived at first. Milliseconds. */
  readonly expires_at: number
  readonly life: number
  /** By how much the service's clock is ahead of this one. Milliseconds. */
  readonly skew: number
  readonly refresh_token: string | undefined
  /** For which service the access token is; undefined for Latchkey itself. */
  readonly audience: string | undefined
}

export interface KeeperParts {
  /** Names the session in the storage, and between tabs. */
  readonly key: string
  /** Where it is kept; nowhere in cookie mode. */
  readonly storage: SessionStorage | undefined
  /** Asks the service for new tokens. */
  readonly renew: (
    wish: { readonly refresh_token: string | undefined; readonly audience: string | undefined },
    signal: AbortSignal,
  ) => Promise<unknown>
}

export type Keeper = ReturnType<typeof createKeeper>

/** A token is exchanged so long before it expires, or at a quarter of its life where that is shorter. Milliseconds. */
const AHEAD = 60_000
/** How long other tabs have to say what they know. Milliseconds. */
const ASK_TABS = 100
/**
 * The service gives an exchanged refresh token's tokens again for 10 s, in case the answer was lost. So an exchange is
 * tried again for as long, less what is on the way; who is to wait for less than that waits no longer. Milliseconds.
 */
const TRY_FOR = 9_000
/** How long an answer may take: the first one less, so that there is time to ask again. Milliseconds. */
const FIRST_ANSWER = 5_000
const LATER_ANSWER = 15_000
/** How long other tabs may take with theirs. Milliseconds. */
const PATIENCE = 30_000

/** Runs something with a signal that is aborted after so many milliseconds, as if there were no network. */
function within<Result>(limit: number, run: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), limit)
  return run(controller.signal)
    .catch((error: unknown) => {
      throw controller.signal.aborted ? new LatchkeyError('network_error', { cause: error }) : error
    })
    .finally(() => clearTimeout(timer))
}

/** What ends a session; whatever else is answered to a refresh says nothing about it. */
const isEnd = (error: unknown): error is LatchkeyError =>
  error instanceof LatchkeyError && /^(refresh_token_|account_disabled)/.test(error.code)

function isTokens(value: unknown): value is Tokens {
  const { access_token, expires_in } = Object(value)
  return typeof access_token === 'string' && Number.isFinite(expires_in)
}

function parseKept(text: string | null | undefined): Kept | undefined {
  try {
    const value = JSON.parse(text ?? '{}')
    const times = [value.id, value.at, value.expires_at, value.life, value.skew]
    return typeof value.access_token === 'string' && times.every(Number.isFinite) ? value : undefined
  } catch {
    // Something else stands there: as good as nothing.
    return undefined
  }
}

/** Keeps one session: in memory, in the storage, in step with other tabs, and refreshed. */
export function createKeeper({ key, storage, renew }: KeeperParts) {
  const listeners = new Set<(event: SessionEvent) => unknown>()
  let current: Kept | undefined
  /** When the session last came to be what it is, or ended. */
  let changedAt = 0
  let skew = 0
  /** An access token that was refused, whatever the clock says. */
  let refused: string | undefined
  /** The last refresh, where it failed: nothing is tried again before its time. */
  let failure: { readonly error: unknown; readonly since: number; readonly wait: number } | undefined
  let failures = 0
  let flight: Promise<void> | undefined
  let heard = () => {}
  /** Why another tab has ended the session, as it last said: the storage may show that only later. */
  let told: SignedOutReason = 'other_tab'

  const isCookie = storage === undefined
  const tabs =
    isCookie || storage.shared ? createTabs(key, storage, isCookie ? hearKept : hearStored) : undefined

  /** Milliseconds that the access token has left, by the service's clock; 0 where it was refused. */
  const leftOf = (kept: Kept) =>
    kept.access_token === refused ? 0 : Math.max(0, kept.expires_at - Date.now() - skew)
  const aheadOf = (kept: Kept) => Math.min(AHEAD, kept.life / 4)

  function emit(event: SessionEvent): void {
    // What a listener throws is its own: it goes where unhandled rejections go.
    for (const listener of listeners) void Promise.resolve(event).then(listener)
  }

  function adopt(next: Kept | undefined, reason = told): void {
    const before = current
    current = next
    if (next?.access_token === before?.access_token) return
    failure = undefined
    failures = 0
    changedAt = next?.at ?? Math.max(Date.now(), changedAt + 1)
    if (next) {
      skew = next.skew
      emit({ type: next.id === before?.id ? 'refreshed' : 'signed_in' })
    } else emit({ type: 'signed_out', reason })
  }

  /** In cookie mode tabs tell each other what they have; a tab without a session asks. */
  function hearKept(message: unknown): void {
    const { at, kept, reason } = Object(message)
    if (at === undefined) {
      if (current) tell()
    } else if (at > changedAt) {
      adopt(kept, reason)
      changedAt = at
      heard()
    }
  }

  /**
   * What tabs tell stands in the storage already, unless that is sessionStorage: a tab that was duplicated has the same
   * session in one of its own, and with the token that was exchanged for this one it would end it.
   */
  async function hearStored(message: unknown): Promise<void> {
    const { kept, reason } = Object(message)
    told = reason ?? told
    await sync()
    if (kept && kept.id === current?.id && kept.at > changedAt) {
      adopt(kept)
      await storage?.setItem(key, JSON.stringify(kept))
    }
  }

  /** Takes note of what other tabs have made of the session. */
  async function sync(): Promise<void> {
    if (isCookie) {
      const answer = new Promise<void>((resolve) => {
        heard = resolve
      })
      tabs?.tell({})
      await Promise.race([answer, pause(ASK_TABS)])
      return
    }
    const before = current
    const stored = parseKept(await storage.getItem(key))
    // It changed here meanwhile, or what is known here could not be stored.
    if (current !== before || (stored && stored.at < changedAt)) return
    adopt(stored)
  }

  function tell(reason?: SignedOutReason): void {
    tabs?.tell({ at: changedAt, kept: current, reason })
  }

  /**
   * Makes new tokens the session: another one, or the one that they were exchanged from. What those were exchanged for is
   * used up, so they hold although they can't be stored; another session that can't be stored is none.
   */
  async function keep(tokens: unknown, audience: string | undefined, from?: Kept): Promise<void> {
    if (!isTokens(tokens)) throw new LatchkeyError('invalid_response')
    const at = Math.max(Date.now(), changedAt + 1)
    const life = tokens.expires_in * 1_000
    const kept = {
      id: from?.id ?? at,
      at,
      access_token: tokens.access_token,
      // The second in which it was issued had begun before.
      expires_at: Date.now() + skew + life - 1_000,
      life,
      skew,
      refresh_token: tokens.refresh_token,
      audience,
    }
    if (from) adopt(kept)
    await storage?.setItem(key, JSON.stringify(kept))
    if (!from) adopt(kept)
    tell()
  }

  async function drop(reason: SignedOutReason): Promise<void> {
    adopt(undefined, reason)
    await storage?.removeItem(key)
    tell(reason)
  }

  /** Asks once. @throws LatchkeyError network_error where the answer takes too long */
  function ask(kept: Kept | undefined, limit: number): Promise<unknown> {
    return within(limit, (signal) =>
      renew({ refresh_token: kept?.refresh_token, audience: kept?.audience }, signal),
    )
  }

  /** Exchanges the refresh token, while no other tab does. @param end when to try no more @param tries how often that has failed */
  async function rotate(end: number, tries = 0): Promise<void> {
    const kept = current
    const before = changedAt
    try {
      const tokens = await ask(kept, tries === 0 ? FIRST_ANSWER : LATER_ANSWER)
      // What can't be read now can't be known to have changed.
      if (!isCookie) await sync().catch(() => {})
      // Where somebody signed out or in meanwhile, these are nobody's; and a tab that came later has newer ones.
      if (changedAt === before) await keep(tokens, kept?.audience, kept)
    } catch (error) {
      if (isEnd(error)) {
        // Perhaps another tab had the better one.
        await sync()
        if (changedAt !== before) return
      }
      if (!(error instanceof LatchkeyError)) throw error
      const wait = backOff(tries, error)
      const left = end - Date.now()
      // Other answers than 408, 429 and 5xx will be the same again.
      if (/^4(?!08|29)/.test(`${error.status}`) || left < 0 || wait > TRY_FOR) throw error
      await pause(Math.min(wait, left))
      await sync()
      if (changedAt === before) await rotate(end, tries + 1)
    }
  }

  async function refreshOnce(): Promise<void> {
    const before = current
    if (failure) {
      const waited = Date.now() - failure.since
      const hasEnded = current && isEnd(failure.error)
      if (hasEnded || (waited >= 0 && waited < failure.wait)) return fail(failure.error)
    }
    const isDone = () => current !== before && (!current || leftOf(current) > aheadOf(current))
    const run = async () => {
      // Another tab may have done it while this one waited.
      if (!isDone()) await sync()
      if (!isDone()) await rotate(Date.now() + TRY_FOR)
    }
    try {
      await (tabs ? within(PATIENCE, (signal) => tabs.alone(signal, run)) : run())
    } catch (error) {
      failure = { error, since: Date.now(), wait: backOff(failures++ + 2, error) }
      return fail(error)
    }
  }

  /** The end of a session is the end of it here once its access token is of no use either. */
  async function fail(error: unknown): Promise<never> {
    if (isEnd(error) && current && leftOf(current) === 0) {
      await drop(error.code === 'account_disabled' ? 'account_disabled' : 'session_ended')
    }
    throw error
  }

  /** One refresh at a time, whoever waits for it. */
  function refresh(): Promise<void> {
    flight ??= refreshOnce().finally(() => {
      flight = undefined
    })
    return flight
  }

  return {
    isSignedIn: () => current !== undefined,

    /**
     * The access token to send, exchanged before if it is about to expire.
     *
     * @param useless one that a server has refused
     * @returns undefined where nobody is signed in
     * @throws LatchkeyError where it has expired and can't be exchanged now
     */
    async token(useless?: string): Promise<string | undefined> {
      if (changedAt === 0 && !isCookie) await sync()
      if (!current) return undefined
      refused = useless ?? refused
      const left = leftOf(current)
      const ahead = aheadOf(current)
      if (left > ahead / 4) {
        // What becomes of it is kept as the failure: whoever needs it first hears of it.
        if (left <= ahead) refresh().catch(() => {})
        return current.access_token
      }
      try {
        await refresh()
      } catch (error) {
        if (!current || leftOf(current) === 0) throw error
      }
      return current?.access_token
    },

    /** Finds the session that there is. @returns whether there is one @throws LatchkeyError where that can't be known */
    async restore(): Promise<boolean> {
      if (!isCookie) await sync()
      try {
        if (isCookie ? !current : current && leftOf(current) === 0) await refresh()
      } catch (error) {
        // Unless it has ended, a session that can't be refreshed now is one all the same.
        if (!isEnd(error) && !current) throw error
      }
      return current !== undefined
    },

    /** Opens a session. @param open answers its tokens @param signal aborts the wait for other tabs */
    async open(open: () => Promise<unknown>, audience: string | undefined, signal: AbortSignal | undefined) {
      const run = async () => keep(await open(), audience)
      await (tabs ? tabs.alone(signal ?? new AbortController().signal, run) : run())
    },

    drop,

    /** Sets the service's clock by an answer of it. */
    measure({ headers }: Response): void {
      const date = Date.parse(headers.get('date') ?? '')
      // Whole seconds: by its clock it is the end of this one at the latest.
      if (date > 0) skew = date + 999 - Date.now()
    },

    onChange(listener: (event: SessionEvent) => unknown): () => void {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    close: () => tabs?.close(),
  }
}
