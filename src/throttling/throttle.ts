import type { Client } from '../audit/events.ts'
import type { Db, Tx } from '../database/schema.ts'
import { transact, type Within } from '../database/transaction.ts'
import { blockedUntil, FAMILIAR_FOR, FREE, failuresAt, failuresIn, RENEW_AFTER } from './limits.ts'
import { networkOf } from './networks.ts'
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
  /** Counts a sign-up, whatever comes of it. @throws Problem too_many_attempts */
  signUp(client: Client): Promise<void>
  /** Lets the network of a sign-up be one that has logged in. */
  signedUp(tx: Tx, emailKey: string, client: Client): Promise<void>
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
  readonly address: Key
  /** What a right password changes. */
  clear(to: Db | Tx, row: Attempts | undefined): Promise<void>
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
    { scope, name, counter, address, clear }: Track,
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
            await store.countInWindow(tx, address, clock())
            await within(tx, claimed ?? (await store.count(tx, counter, clock())))
          }),
      })
    })
  }

  /** Counts one in the window of an address. */
  async function countAt(scope: ThrottleScope, client: Client): Promise<void> {
    const key = keyOf(scope, placeOf(client))
    refuseAgain(nameOf(key))
    const { failures, expires_at } = await store.countInWindow(store.db, key, clock())
    if (failures > attemptsPerAddress) refuse(scope, nameOf(key), expires_at)
  }

  return {
    async logIn(emailKey, client, work) {
      const place = placeOf(client)
      const address = keyOf('address', place)
      const familiar = familiarKey(emailKey, place)
      refuseAgain(nameOf(address), nameOf(familiar))

      const look = async () => {
        const [row, known] = await store.read([address, familiar])
        const failures = failuresIn(row, clock())
        if (row !== undefined && failures >= attemptsPerAddress) {
          refuse('address', nameOf(address), row.expires_at)
        }
        return { familiarUntil: known?.expires_at ?? 0, room: attemptsPerAddress - failures }
      }
      return inTurn(nameOf(address), attemptsPerAddress, look, ({ familiarUntil }) => {
        const isFamiliar = familiarUntil > clock()
        const subject = keyOf('account', emailKey)
        const counter = { key: isFamiliar ? keyOf('account', emailKey, place) : subject, subject }
        const clear: Track['clear'] = async (to, row) => {
          if (row !== undefined) await store.forget(to, counter.key)
          const until = clock() + FAMILIAR_FOR
          if (place !== UNKNOWN && familiarUntil <= until - RENEW_AFTER) {
            await store.remember(to, familiar, until)
          }
        }
        return tryOn({ scope: 'account', name: nameOf(familiar), counter, address, clear }, work)
      })
    },

    async prove({ sub, sid }, client, work) {
      const counter = { key: keyOf('session', sid), subject: keyOf('sessions', sub) }
      const name = nameOf(counter.key)
      refuseAgain(name)
      const clear: Track['clear'] = async (to, row) => {
        if (row !== undefined) await store.forget(to, counter.key)
      }
      const address = keyOf('address', placeOf(client))
      return tryOn({ scope: 'session', name, counter, address, clear }, work)
    },

    signUp: (client) => countAt('signup', client),

    async signedUp(tx, emailKey, client) {
      const place = placeOf(client)
      if (place !== UNKNOWN) await store.remember(tx, familiarKey(emailKey, place), clock() + FAMILIAR_FOR)
    },

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

// Who has cut the connection has no address any more. It never becomes familiar: anybody can have none.
const UNKNOWN = 'unknown'

function placeOf({ ip }: Client): string {
  return networkOf(ip) ?? UNKNOWN
}

function familiarKey(emailKey: string, place: string): Key {
  return keyOf('familiar', emailKey, place)
}

function nameOf(key: Key): string {
  return key.toString('base64')
}
