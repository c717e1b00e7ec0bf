import type { Client } from '../audit/events.ts'
import type { Db, Tx } from '../database/schema.ts'
import { transact, type Within } from '../database/transaction.ts'
import { UNKNOWN_ADDRESS } from '../ip.ts'
import {
  blockedUntil,
  FAMILIAR_FOR,
  FREE,
  failuresAt,
  failuresIn,
  NETWORKS_PER_SITE,
  RENEW_AFTER,
} from './limits.ts'
import { placeOf, siteOf } from './networks.ts'
import { createRefusals, type ThrottleScope } from './refusals.ts'
import { type AttemptStore, type Attempts, type Counter, type Key, keyOf } from './store.ts'
import { createTurns } from './turns.ts'

/** One try of a password. */
export interface Attempt {
  /** Says that it was the right one. @param to the transaction that goes on from there, if there is one */
  succeeded(to?: Db | Tx): Promise<void>
  /** Says that it was a wrong one. @param within is told how many were wrong in a row */
  failed(within: Within<number>): Promise<void>
}

/**
 * Holds back who guesses. Whatever it is asked for throws Problem database_unavailable where it can't count: then nothing
 * is tried, or nobody hears what came of it.
 */
export interface Throttle {
  /**
   * Lets somebody try a password at an account that doesn't know them yet, whether or not there is one. Its failures
   * are counted together, but for those from a network that has logged in to it before: that has a count of its own.
   * A right password clears the count that it was tried under, and no other.
   *
   * @param emailKey the address as emailKey() writes it
   * @throws Problem too_many_attempts; whatever the work throws
   */
  logIn<Result>(
    emailKey: string,
    client: Client,
    work: (attempt: Attempt) => Promise<Result>,
  ): Promise<Result>
  /**
   * Lets the holder of a live session try the account's password. A session has a count of its own, and nothing that
   * fails elsewhere holds it back.
   *
   * @throws Problem too_many_attempts; whatever the work throws
   */
  prove<Result>(
    bearer: { readonly sub: string; readonly sid: string },
    client: Client,
    work: (attempt: Attempt) => Promise<Result>,
  ): Promise<Result>
  /** Counts what tells whether an address has an account, whatever comes of it. @throws Problem too_many_attempts */
  signUp(client: Client): Promise<void>
  /** Lets the network of a client be one that has logged in to an account. */
  familiarize(tx: Tx, emailKey: string, client: Client): Promise<void>
  /** Lets no network be one that has logged in to it. */
  estrange(tx: Tx, emailKey: string): Promise<void>
  /** Counts a refresh token or credential that isn't one. @throws Problem too_many_attempts */
  wrongToken(client: Client): Promise<void>
  /** Forgets what failed at an account, by logins and in its sessions. */
  reset(account: { readonly id: string; readonly emailKey: string }, within: Within): Promise<void>
  /** Until when a network that hasn't logged in before is held back at an account, in milliseconds since 1970. */
  blockedUntil(emailKey: string): Promise<number | undefined>
  /** How often each has refused since the start. */
  readonly refusals: Readonly<Record<ThrottleScope, number>>
}

export interface ThrottleParts {
  readonly store: AttemptStore
  /** Failures of one address, and its sign-ups, in a minute. */
  readonly attemptsPerAddress: number
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** What an attempt is counted by. */
interface Track {
  readonly scope: ThrottleScope
  /** By which a refusal is remembered. */
  readonly name: string
  readonly counter: Counter
  readonly windows: readonly Window[]
  /** What a right password changes. */
  clear(to: Db | Tx, row: Attempts | undefined): Promise<void>
}

/** What an address is counted in: its network, and the site that has the network. */
interface Window {
  readonly key: Key
  readonly limit: number
}

/** The rule of throttling. Nodes share what they count through the database. */
export function createThrottle({ store, attemptsPerAddress, clock }: ThrottleParts): Throttle {
  const inTurn = createTurns()
  const { refuse, refuseAgain, counts } = createRefusals(attemptsPerAddress, clock)

  /**
   * Does the work once the failures so far let it, and counts what comes of it. Past the free ones an attempt is counted
   * before it is made, so that of several at once, on all nodes, one is made; what can't be carried through stays counted.
   */
  async function tryOn<Result>(
    { scope, name, counter, windows, clear }: Track,
    work: (attempt: Attempt) => Promise<Result>,
  ): Promise<Result> {
    const look = async () => {
      const [row] = await store.read([counter.key])
      const now = clock()
      const until = blockedUntil(row, now)
      if (until !== undefined) refuse(scope, name, until)
      return { row, room: FREE - failuresAt(row, now) }
    }
    return inTurn(nameOf(counter.key), FREE, look, async ({ row, room }) => {
      let claimed: number | undefined
      if (row !== undefined && room <= 0) {
        const now = clock()
        claimed = await store.claim(row, now)
        // Another node was quicker: soon it is known for how long.
        if (claimed === undefined) refuse(scope, name, now + 1)
      }
      return work({
        succeeded: (to = store.db) => clear(to, row),
        failed: (within) =>
          transact(store.db, async (tx) => {
            for (const { key } of windows) await store.countInWindow(tx, key, clock())
            await within(tx, claimed ?? (await store.count(tx, counter, clock())))
          }),
      })
    })
  }

  function windowsOf(scope: ThrottleScope, client: Client): readonly [Window, ...Window[]] {
    const network = { key: keyOf(scope, placeOf(client)), limit: attemptsPerAddress }
    const site = siteOf(client.ip)
    if (site === undefined) return [network]
    return [network, { key: keyOf(scope, site), limit: attemptsPerAddress * NETWORKS_PER_SITE }]
  }

  /** Counts one in the windows of an address. */
  async function countAt(scope: ThrottleScope, client: Client): Promise<void> {
    const windows = windowsOf(scope, client)
    refuseAgain(...windows.map(({ key }) => nameOf(key)))
    for (const { key, limit } of windows) {
      const { failures, expires_at } = await store.countInWindow(store.db, key, clock())
      if (failures > limit) refuse(scope, nameOf(key), expires_at)
    }
  }

  return {
    async logIn(emailKey, client, work) {
      const place = placeOf(client)
      const windows = windowsOf('address', client)
      const familiar = familiarKey(emailKey, place)
      refuseAgain(...windows.map(({ key }) => nameOf(key)), nameOf(familiar))

      const look = async () => {
        const [known, ...rows] = await store.read([familiar, ...windows.map(({ key }) => key)])
        const rooms = windows.map(({ key, limit }, index) => {
          const row = rows[index]
          const room = limit - failuresIn(row, clock())
          if (row !== undefined && room <= 0) refuse('address', nameOf(key), row.expires_at)
          return room
        })
        return { familiarUntil: known?.expires_at ?? 0, room: Math.min(...rooms) }
      }
      return inTurn(nameOf(windows[0].key), attemptsPerAddress, look, ({ familiarUntil }) => {
        const isFamiliar = familiarUntil > clock()
        const subject = keyOf('account', emailKey)
        const counter = { key: isFamiliar ? keyOf('account', emailKey, place) : subject, subject }
        const clear: Track['clear'] = async (to, row) => {
          if (row !== undefined) await store.forget(to, counter.key)
          const until = clock() + FAMILIAR_FOR
          if (place !== UNKNOWN_ADDRESS && familiarUntil <= until - RENEW_AFTER) {
            await store.remember(to, { key: familiar, subject: familiarsOf(emailKey) }, until)
          }
        }
        return tryOn({ scope: 'account', name: nameOf(familiar), counter, windows, clear }, work)
      })
    },

    async prove({ sub, sid }, client, work) {
      const counter = { key: keyOf('session', sid), subject: keyOf('sessions', sub) }
      const name = nameOf(counter.key)
      refuseAgain(name)
      const clear: Track['clear'] = async (to, row) => {
        if (row !== undefined) await store.forget(to, counter.key)
      }
      const windows = windowsOf('address', client)
      return tryOn({ scope: 'session', name, counter, windows, clear }, work)
    },

    signUp: (client) => countAt('signup', client),

    async familiarize(tx, emailKey, client) {
      const place = placeOf(client)
      if (place === UNKNOWN_ADDRESS) return
      const row = { key: familiarKey(emailKey, place), subject: familiarsOf(emailKey) }
      await store.remember(tx, row, clock() + FAMILIAR_FOR)
    },

    estrange: (tx, emailKey) => store.reset(tx, [familiarsOf(emailKey)]),

    wrongToken: (client) => countAt('token', client),

    reset: ({ id, emailKey }, within) =>
      transact(store.db, async (tx) => {
        await store.reset(tx, [keyOf('account', emailKey), keyOf('sessions', id)])
        await within(tx)
      }),

    async blockedUntil(emailKey) {
      const [row] = await store.read([keyOf('account', emailKey)])
      return blockedUntil(row, clock())
    },

    refusals: counts,
  }
}

function familiarKey(emailKey: string, place: string): Key {
  return keyOf('familiar', emailKey, place)
}

function familiarsOf(emailKey: string): Key {
  return keyOf('familiars', emailKey)
}

function nameOf(key: Key): string {
  return key.toString('base64')
}
