import { LRUCache } from 'lru-cache'
import { Problem } from '../problem.ts'
import { REVOCATION_LIFE, type Revocation, type Revocations } from '../tokens/revocations.ts'
import type { Follower } from './follower.ts'
import type { RevocationStore } from './store.ts'

/** Revocations in one answer or event, at most. */
export const PAGE = 1_000

/** How many pages are kept for those who begin. */
const KEPT_PAGES = 50

/** Milliseconds of silence after which a stream says that it is alive. */
const KEEP_ALIVE = 2_000

/** A stretch of the feed. */
export interface FeedPage {
  readonly revocations: readonly Revocation[]
  /** From where to go on. */
  readonly cursor: string
  /** Whether there is more right now. */
  readonly more: boolean
  /** Up to when everything has been told with it unless there is more, by performance.now(). */
  readonly completeUpTo: number
}

/** What a stream tells: revocations, or that everything up to `age` seconds ago has been told. */
export type FeedEvent = { readonly page: FeedPage } | { readonly age: number }

export interface FeedParts {
  readonly store: RevocationStore
  readonly follower: Follower
  readonly revocations: Pick<Revocations, 'age'>
}

export type Feed = ReturnType<typeof createFeed>

/** The revocations as other services follow them: by page, or as a stream. */
export function createFeed({ store, follower, revocations }: FeedParts) {
  /**
   * @param cursor as a page gave it; undefined is the beginning
   * @throws Problem invalid_request where it is malformed; cursor_gone where what came after it isn't all there
   */
  async function seqOf(cursor: string | undefined): Promise<number> {
    if (cursor === undefined) return 0
    const [, feed, digits] = /^([\da-f-]{36})\.(\d{1,15})$/.exec(cursor) ?? []
    if (feed === undefined) {
      throw new Problem('invalid_request', {
        errors: [{ path: 'after', message: 'is no cursor of this feed' }],
      })
    }
    const seq = Number(digits)
    const [head, oldest] = [await store.head(), await store.oldest()]
    const isComplete = seq === head.seq || (oldest !== undefined && seq >= oldest - 1)
    if (feed !== head.feed || seq > head.seq || !isComplete) throw new Problem('cursor_gone')
    return seq
  }

  // Of many who begin at once each would need a connection, and SQLite would read the same again and again while nobody
  // else gets a turn. Who asks for the same at the same time gets the same; and a page after which there is more stays
  // what it is, so it is kept for the next.
  const pages = new LRUCache<string, Promise<FeedPage>>({ max: KEPT_PAGES })

  async function pageAfter(seq: number): Promise<FeedPage> {
    const key = `${follower.head.feed}.${seq}`
    const known = pages.get(key)
    if (known !== undefined) return known
    const reading = readPage(seq)
    pages.set(key, reading)
    let isKept = false
    try {
      const page = await reading
      isKept = page.more
      return page
    } finally {
      if (!isKept) pages.delete(key)
    }
  }

  async function readPage(seq: number): Promise<FeedPage> {
    // What is known before the database is asked: what comes meanwhile is for the next page.
    const { feed, seq: newest } = follower.head
    const completeUpTo = performance.now() - revocations.age() * 1_000
    const batch = follower.recent(seq)?.slice(0, PAGE) ?? (await store.after(seq, PAGE))
    const last = batch.at(-1)?.seq ?? Math.max(seq, newest)
    return { revocations: batch, cursor: `${feed}.${last}`, more: last < newest, completeUpTo }
  }

  return {
    /** What comes after the cursor; without one, all that is live. @throws as seqOf; database_unavailable */
    async page(cursor: string | undefined): Promise<FeedPage> {
      return pageAfter(await seqOf(cursor))
    },

    /**
     * The same, and then whatever comes, without an end. Nothing is read ahead: who takes the events slowly makes
     * nothing grow here.
     *
     * @returns once the first stretch has been read, so that what is wrong with the cursor is told before all else
     */
    async stream(cursor: string | undefined): Promise<AsyncGenerator<FeedEvent>> {
      const first = await pageAfter(await seqOf(cursor))
      return eventsFrom(first)
    },
  }

  async function* eventsFrom(first: FeedPage): AsyncGenerator<FeedEvent> {
    const [feed] = first.cursor.split('.')
    let page = first
    while (!follower.dismissed) {
      if (page.revocations.length > 0) yield { page }
      const seq = Number(page.cursor.split('.')[1])
      if (!page.more) {
        yield { age: ageOf(page) }
        await follower.somethingAfter(seq, KEEP_ALIVE)
      }
      page = await pageAfter(seq)
      // In another feed the number says nothing: who follows hears that the cursor is gone, and starts again.
      if (!page.cursor.startsWith(`${feed}.`)) return
    }
  }
}

/** @returns how many seconds ago everything had been told that the page ends with, unless there is more */
export function ageOf({ completeUpTo }: FeedPage): number {
  return (performance.now() - completeUpTo) / 1_000
}

/** @returns until when a revocation has to be remembered, in milliseconds since 1970 */
export function expiryOf({ revokedAt }: Revocation): number {
  return revokedAt + REVOCATION_LIFE
}
