import type { SessionStorage } from './storage.ts'
import { pause } from './wait.ts'

/** As much of the Web Locks API as is used (https://w3c.github.io/web-locks/). */
interface Locks {
  request<Result>(
    name: string,
    options: { readonly signal: AbortSignal },
    run: () => Promise<Result>,
  ): Promise<Result>
}

interface Page {
  readonly navigator?: { readonly locks?: Locks }
  addEventListener?(type: 'storage', listener: (event: { readonly key: string | null }) => void): void
  removeEventListener?(type: 'storage', listener: (event: { readonly key: string | null }) => void): void
}

/** Milliseconds for which a lock in storage holds: longer than whoever has it may take. */
const LOCK_LIFE = 40_000
const LOOK_EVERY = 50

/** The other tabs of the same origin, and other clients of the same process that share a storage. */
export interface Tabs {
  /**
   * Runs something while no other tab runs anything here.
   *
   * @throws what `run` throws; the signal's reason where it is aborted before `run` begins
   */
  alone<Result>(signal: AbortSignal, run: () => Promise<Result>): Promise<Result>
  tell(message: unknown): void
  close(): void
}

/**
 * @param storage where the lock stands if there are no Web Locks, as on a page without TLS; without it there is no lock
 * @param hear is given what other tabs tell, and nothing where the storage was changed
 */
export function createTabs(
  key: string,
  storage: SessionStorage | undefined,
  hear: (message?: unknown) => void,
): Tabs {
  const page = globalThis as unknown as Page
  let channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel(key)
  if (channel) {
    channel.onmessage = ({ data }: { data: unknown }) => hear(data)
    // Node.js: it keeps no process from ending.
    void (channel as { unref?(): void }).unref?.()
  }
  const changed = (event: { readonly key: string | null }) => {
    // The channel comes first: it tells why as well. Null is for all keys.
    if ((event.key ?? key) === key) void pause(LOOK_EVERY).then(() => hear())
  }
  page.addEventListener?.('storage', changed)

  /** A lock that is a value in the storage: whoever finds its own there after a while has it. */
  async function lockStored<Result>(
    storage: SessionStorage,
    signal: AbortSignal,
    run: () => Promise<Result>,
  ): Promise<Result> {
    const name = `${key}:lock`
    let mine = ''
    const holder = async () => `${await storage.getItem(name)}`
    do {
      signal.throwIfAborted()
      const left = Number.parseFloat(await holder()) - Date.now()
      // One that lasts longer than any is from before the clock was set back.
      if (!(left > 0 && left <= LOCK_LIFE)) {
        mine = `${Date.now() + LOCK_LIFE}:${Math.random()}`
        await storage.setItem(name, mine)
      }
      await pause(LOOK_EVERY * (1 + Math.random()))
    } while ((await holder()) !== mine)
    try {
      return await run()
    } finally {
      if ((await holder()) === mine) await storage.removeItem(name)
    }
  }

  return {
    async alone(signal, run) {
      const locks = page.navigator?.locks
      if (locks) return locks.request(key, { signal }, run)
      return storage ? lockStored(storage, signal, run) : run()
    },
    tell: (message) => channel?.postMessage(message),
    close() {
      channel?.close()
      channel = undefined
      page.removeEventListener?.('storage', changed)
    },
  }
}
