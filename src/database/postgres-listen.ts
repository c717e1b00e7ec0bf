import { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { backOff } from '../back-off.ts'
import type { PostgresOptions } from './postgres.ts'

const CONNECT_TIMEOUT = 2_000

/** Milliseconds for which PostgreSQL is waited for in the end: one that hangs never closes the connection. */
const END_TIMEOUT = 500

/**
 * Listens on a channel (LISTEN) by a connection of its own, and connects again when that breaks. What is said while there
 * is no connection is lost, so each new one wakes too.
 *
 * @param wake called at every notification, and after each connect
 * @returns a function that ends it
 */
export function listen(
  { url, onIdleError }: Pick<PostgresOptions, 'url' | 'onIdleError'>,
  channel: string,
  wake: () => void,
): () => Promise<void> {
  const stopping = new AbortController()
  const ended = keepListening()

  async function keepListening(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; failures++) {
      try {
        await listenOnce(() => {
          failures = 0
          wake()
        })
      } catch (error) {
        onIdleError(error as Error)
      }
      await pause(backOff(failures))
    }
  }

  /** Resolves once the connection has ended. */
  async function listenOnce(onHeard: () => void): Promise<void> {
    const socket = new Socket()
    const client = new pg.Client({
      connectionString: url,
      stream: () => socket,
      application_name: 'latchkey-listen',
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      query_timeout: CONNECT_TIMEOUT,
      keepAlive: true,
    })
    // A connection that breaks ends; that is all there is to know of it.
    client.on('error', () => {})
    client.on('notification', onHeard)
    const end = () => {
      void client.end()
      void setTimeout(END_TIMEOUT, undefined, { ref: false }).then(() => socket.destroy())
    }
    try {
      await client.connect()
      const closed = new Promise((resolve) => client.once('end', resolve))
      stopping.signal.addEventListener('abort', end, { once: true })
      await client.query(`listen ${pg.escapeIdentifier(channel)}`)
      onHeard()
      if (stopping.signal.aborted) end()
      await closed
    } finally {
      stopping.signal.removeEventListener('abort', end)
      end()
      await client.end()
    }
  }

  async function pause(milliseconds: number): Promise<void> {
    // What cuts it short is the end.
    await setTimeout(milliseconds, undefined, { signal: stopping.signal, ref: false }).catch(() => {})
  }

  return () => {
    stopping.abort()
    return ended
  }
}
