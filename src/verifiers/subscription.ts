import { setTimeout as rest } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { backOff } from '../back-off.ts'
import { REVOCATION_LIFE, type Revocation, type Revocations } from '../tokens/revocations.ts'

/** Milliseconds without a byte after which a connection is taken for dead. Latchkey speaks every 2 s. */
const LONGEST_SILENCE = 10_000

// In characters. Latchkey tells at most 1,000 revocations in an event, each of at most about 1,000 characters.
const LONGEST_EVENT = 4 * 1_024 * 1_024
const LONGEST_ANSWER = 64 * 1_024

const SCOPE = 'revocations:read'

// Node's fetch would keep a connection open, and open another one when a stream is cut: both hold up a server that stops.
const NO_KEEP_ALIVE = { connection: 'close' }

/** From where a verifier hears of revocations. */
export interface Feed {
  /** Where Latchkey is, such as `https://auth.example.com`. */
  readonly url: string
  /** The credential of a service account with the scope revocations:read, as Latchkey printed it: `lkc_...`. */
  readonly credential: string
  /** Is used in place of the global fetch, with the same arguments. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /**
   * Hears of every connection that failed; the next is tried after a while. Must not throw. Without it a warning is
   * written to the console.
   */
  readonly onError?: ((error: FeedError) => void) | undefined
  /** Hears whenever all that was revoked is known again: the first time, and after every interruption. */
  readonly onConnect?: (() => void) | undefined
}

/** Why the feed can't be followed right now. */
export class FeedError extends Error {
  override readonly name = 'FeedError'
}

export interface Subscription {
  /** Once all that was revoked is known. Rejects where the subscription is closed before. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

/**
 * Follows Latchkey's feed into memory for as long as it isn't closed: reconnects with back-off, resumes from the last
 * cursor, and believes nothing that has another shape than it should have.
 *
 * @param silence milliseconds without a byte after which a connection is taken for dead
 * @throws TypeError for an address or a credential that can't be right
 */
export function subscribe(feed: Feed, revocations: Revocations, silence = LONGEST_SILENCE): Subscription {
  const { credential, fetch: send = fetch, onError = warn, onConnect = () => {} } = feed
  const base = baseOf(feed.url)
  if (!/^lkc_[\w-]+$/.test(credential)) throw new TypeError('feed.credential must be a credential: lkc_...')
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>()
  // Who doesn't ask for it isn't told that it will never be.
  ready.catch(() => {})

  let closed = false
  let complete = false
  let connection = new AbortController()
  let cursor: string | undefined

  async function follow(): Promise<void> {
    let wait = 0
    let failures = 0
    while (!closed) {
      connection = new AbortController()
      try {
        // A process stays for what it waits for, and not for what it has.
        await rest(wait, undefined, { ref: !complete, signal: connection.signal })
        await listen(() => {
          failures = 0
        })
      } catch (error) {
        if (closed) return
        onError(feedErrorOf(error))
        failures++
      }
      wait = backOff(failures)
    }
  }

  async function listen(onAlive: () => void): Promise<void> {
    const { signal } = connection
    const cut = () => connection.abort(new FeedError(`nothing was heard for ${silence / 1_000} s`))
    const watchdog = setTimeout(cut, silence).unref()
    let alive = false

    function hear({ event, id, data }: EventSourceMessage): void {
      if (event === 'revocations') applyPage(id, data)
      if (event !== 'alive') return
      revocations.knownUpTo(performance.now() - ageFrom(data) * 1_000)
      if (alive) return
      alive = true
      complete = true
      resolve()
      onAlive()
      onConnect()
    }

    try {
      const body = await openStream(await accessToken(signal), signal)
      const parser = createParser({ onEvent: hear, maxBufferSize: LONGEST_EVENT })
      const decoder = new TextDecoder()
      for await (const chunk of body) {
        watchdog.refresh()
        parser.feed(decoder.decode(chunk, { stream: true }))
      }
      // Latchkey ends a stream when its token expires or the node stops: that is no failure.
      if (!alive) throw new FeedError('the stream ended before all was told')
    } finally {
      clearTimeout(watchdog)
      // Lets go of what was not read.
      connection.abort()
    }
  }

  // A token for each connection: it outlives the stream by nothing, and is never one that was revoked meanwhile.
  async function accessToken(signal: AbortSignal): Promise<string> {
    const response = await send(new URL('auth/token', base), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...NO_KEEP_ALIVE },
      body: JSON.stringify({ credential, scope: SCOPE }),
      // A credential goes where it was meant to go, and nowhere else.
      redirect: 'error',
      signal,
    })
    const text = await textOf(response)
    if (response.status !== 200) throw refusal('POST /auth/token', response, text)
    const { access_token } = Object(JSON.parse(text))
    if (typeof access_token !== 'string') throw new FeedError('POST /auth/token answered without a token')
    return access_token
  }

  async function openStream(token: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const response = await send(new URL('revocations', base), {
      headers: {
        accept: 'text/event-stream',
        ...NO_KEEP_ALIVE,
        authorization: `Bearer ${token}`,
        ...(cursor !== undefined && { 'last-event-id': cursor }),
      },
      redirect: 'error',
      signal,
    })
    // From this cursor nothing can be told: another database, or one that was away for too long. What is known stays.
    if (response.status === 400 || response.status === 410) {
      cursor = undefined
      revocations.startAnew()
    }
    if (response.status !== 200) throw refusal('GET /revocations', response, await textOf(response))
    if (!/^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '')) {
      throw new FeedError('GET /revocations answered with something else than an event stream')
    }
    return response.body as ReadableStream<Uint8Array>
  }

  // The cursor is that of the last entry. Swept ones leave gaps in the numbers, so those of the others are a little too
  // high, but keep their order, within an event and beyond it.
  function applyPage(id = '', data: string): void {
    const [, digits] = /^[\w-]{1,64}\.(\d{1,15})$/.exec(id) ?? []
    if (digits === undefined) throw new FeedError('an event has no cursor')
    const { revocations: entries } = Object(JSON.parse(data))
    if (!Array.isArray(entries)) throw new FeedError('an event has no revocations')
    const last = Number(digits)
    revocations.apply(entries.map((entry, index) => revocationFrom(entry, last - entries.length + 1 + index)))
    cursor = id
  }

  const following = follow()
  return {
    ready,
    async close() {
      closed = true
      connection.abort()
      reject(new Error('The verifier was closed before it had heard of all that was revoked.'))
      await following
    },
  }
}

function baseOf(url: string): URL {
  // A path is kept: Latchkey may stand below one.
  const base = URL.parse(url.replace(/\/*$/, '/'))
  if (base === null || !/^https?:$/.test(base.protocol)) {
    throw new TypeError('feed.url must be an address that begins with http:// or https://')
  }
  return base
}

async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > LONGEST_ANSWER) throw new FeedError('an answer is too long')
  }
  return text
}

function refusal(request: string, { status }: Response, text: string): FeedError {
  const [, code = 'no code'] = /"code":"([a-z_]{1,40})"/.exec(text) ?? []
  return new FeedError(`${request} answered ${status} (${code})`)
}

function revocationFrom(entry: unknown, seq: number): Revocation {
  const { sid, sub, roles, expires_at } = Object(entry)
  const revokedAt = typeof expires_at === 'string' ? Date.parse(expires_at) - REVOCATION_LIFE : Number.NaN
  if (Number.isNaN(revokedAt)) throw new FeedError('a revocation has no time')
  if (isText(sid)) return { seq, revokedAt, sessionId: sid }
  if (isText(sub) && Array.isArray(roles) && roles.every(isText)) {
    return { seq, revokedAt, accountId: sub, roles }
  }
  // What it refuses is unknown, so it can't be passed over.
  throw new FeedError('a revocation is neither of a session nor of roles')
}

function ageFrom(data: string): number {
  const { age } = Object(JSON.parse(data))
  if (!(Number.isFinite(age) && age >= 0)) throw new FeedError('an event has no age')
  return age
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function feedErrorOf(error: unknown): FeedError {
  if (error instanceof FeedError) return error
  // fetch says only that it failed, and its cause why. What was read has no place in a message.
  const { code, name } = Object((error as Error).cause ?? error)
  return new FeedError(`it can't be reached or read (${code ?? name})`, { cause: error })
}

function warn(error: FeedError): void {
  console.warn(`The feed of revocations can't be followed: ${error.message}`)
}
