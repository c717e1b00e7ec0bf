import { setImmediate } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import type { Database } from '../database/open.ts'
import type { Revocation, Revocations } from '../tokens/revocations.ts'
import type { Head, RevocationStore } from './store.ts'

const BATCH = 5_000

/** How many of the newest revocations are at hand for those who follow this node. */
const RECENT = 1_000

/** Milliseconds between two lines that say the same trouble is still there. */
const REMIND_EVERY = 10_000

/** Milliseconds between two looks at the head. SQLite tells nobody of a change; PostgreSQL does, so there it's a net. */
export const pollEvery = { sqlite: 100, postgres: 500 } as const

export interface FollowerParts {
  readonly store: RevocationStore
  readonly revocations: Revocations
  readonly onRevocations: Database['onRevocations']
  /** Milliseconds between two looks at the head. */
  readonly interval: number
  readonly log: FastifyBaseLogger
  /** Told of what has been committed meanwhile, here or elsewhere, as it is heard of; not of what was there at the start. */
  readonly onHeard?: (revocations: readonly Revocation[]) => void
}

/** Keeps a node's memory up to date with what any node has committed. */
export interface Follower {
  /** Loads what is live, and follows from then on. @throws Problem database_unavailable */
  start(): Promise<void>
  /** Lets go of everybody who waits or will; it follows all the same. */
  dismiss(): void
  /** Follows no more, and lets go of everybody. */
  stop(): Promise<void>
  /** Up to where this node knows everything. */
  readonly head: Head
  /** @returns the revocations that come after, in order; undefined where the database has to be asked for them */
  recent(seq: number): readonly Revocation[] | undefined
  /** Waits until there is something after `seq`, and at most so many milliseconds. */
  somethingAfter(seq: number, milliseconds: number): Promise<void>
  readonly dismissed: boolean
}

/** Follows the revocations: woken by the database where it can, and by a look at the head in any case. */
export function createFollower(parts: FollowerParts): Follower {
  const { store, revocations, onRevocations, interval, log, onHeard } = parts
  let head: Head = { feed: '', seq: 0 }
  // The revocation with the number of the head, if it was there.
  let last: Revocation | undefined
  // Everything after this number, as far as it is known, is in `recent`.
  let recentAfter = 0
  let recent: Revocation[] = []

  let dismissed = false
  let stopped = false
  let again = false
  let wakeFromRest = () => {}
  let stopListening = async () => {}
  let following = Promise.resolve()
  const waiting = new Set<() => void>()

  async function catchUp(): Promise<void> {
    const moment = performance.now()
    let newest = await store.head()
    // An earlier state of this database (a backup, a replica that lagged behind), which may have given the same numbers
    // again by now: from here on it is another feed, so that no old cursor passes for one of it.
    if (newest.feed === head.feed && (newest.seq < head.seq || (await isAnother()))) {
      await store.renew(newest.feed)
      newest = await store.head()
    }
    // Another database: what is known stays, and all that is there is read.
    const goesOn = newest.feed === head.feed
    if (!goesOn) {
      revocations.startAnew()
      moveTo({ feed: newest.feed, seq: 0 }, [])
    }
    while (head.seq < newest.seq) {
      const batch = await store.after(head.seq, BATCH)
      revocations.apply(batch)
      if (goesOn) onHeard?.(batch)
      // Where nothing is left between the two, it was needed by no token any more and swept.
      moveTo({ feed: newest.feed, seq: batch.at(-1)?.seq ?? newest.seq }, batch)
      // SQLite answers without ever leaving the event loop.
      await setImmediate()
    }
    revocations.knownUpTo(moment)
  }

  async function isAnother(): Promise<boolean> {
    if (last === undefined) return false
    const [same] = await store.after(last.seq - 1, 1)
    return same?.seq === last.seq && !isDeepStrictEqual(same, last)
  }

  function moveTo(to: Head, batch: readonly Revocation[]): void {
    if (batch.length === 0) {
      recent = []
      recentAfter = to.seq
    } else {
      recent = [...recent, ...batch]
      if (recent.length > RECENT) recentAfter = recent.splice(0, recent.length - RECENT).at(-1)?.seq as number
    }
    head = to
    last = batch.at(-1)
    for (const resolve of waiting) resolve()
  }

  function dismiss(): void {
    dismissed = true
    for (const resolve of waiting) resolve()
  }

  function wake(): void {
    again = true
    wakeFromRest()
  }

  function rest(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, interval)
      timer.unref()
      wakeFromRest = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  async function follow(): Promise<void> {
    let remindAt: number | undefined
    while (!stopped) {
      if (!again) await rest()
      again = false
      try {
        await catchUp()
        if (remindAt !== undefined)
          log.info({ revocations: revocations.size }, 'caught up with the revocations')
        remindAt = undefined
      } catch (err) {
        const now = performance.now()
        if (stopped || (remindAt !== undefined && now < remindAt)) continue
        remindAt = now + REMIND_EVERY
        const age = Math.round(revocations.age())
        log.warn({ err, age }, `the revocations can't be followed: what is known is ${age} s old`)
      }
    }
  }

  return {
    async start() {
      await catchUp()
      log.info({ revocations: revocations.size }, 'loaded the revocations')
      stopListening = onRevocations(wake)
      following = follow()
    },
    dismiss,
    async stop() {
      dismiss()
      stopped = true
      wake()
      await Promise.all([stopListening(), following])
    },
    get head() {
      return head
    },
    recent(seq) {
      if (seq < recentAfter) return undefined
      // From the end: who follows closely is told at once.
      return recent.slice(recent.findLastIndex((each) => each.seq <= seq) + 1)
    },
    async somethingAfter(seq, milliseconds) {
      if (dismissed || head.seq > seq) return
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer)
          waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, milliseconds)
        waiting.add(done)
      })
    },
    get dismissed() {
      return dismissed
    },
  }
}
