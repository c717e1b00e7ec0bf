import { AsyncResource } from 'node:async_hooks'
import type { Db, Tx } from './schema.ts'

const afterwards = new WeakMap<Tx, (() => void)[]>()

/** Runs work in a transaction. What afterCommit() was given runs once it has been committed, and never otherwise. */
export async function transact<Result>(db: Db, work: (tx: Tx) => Promise<Result>): Promise<Result> {
  const callbacks: (() => void)[] = []
  const result = await db.transaction().execute((tx) => {
    afterwards.set(tx, callbacks)
    return work(tx)
  })
  for (const callback of callbacks) callback()
  return result
}

/** Runs a callback once the transaction has been committed. @param tx what transact() gave */
export function afterCommit(tx: Tx, callback: () => void): void {
  const callbacks = afterwards.get(tx)
  if (callbacks === undefined) throw new Error('the transaction was not begun by transact()')
  callbacks.push(callback)
}

/** What a caller does in the transaction of a store, once all else is done in it; the result is what the store did. */
export type Within<Result = void> = (tx: Tx, result: Result) => Promise<void>

/** Does one write. What it gives comes once it has been committed. */
export type Write = <Result>(write: (db: Db | Tx) => Promise<Result>) => Promise<Result>

interface Waiting {
  readonly write: (tx: Tx) => Promise<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
}

// Bounds how long the event loop waits for one group: some 3 ms.
const GROUP = 32

/**
 * Does single writes. Where everybody shares one connection, as on SQLite, those of the same moment share a transaction
 * and so one sync of the disk, which takes longer than all else (a group commit). If it can't be committed, none is done,
 * and each throws. Elsewhere each goes by itself.
 */
export function groupWrites(db: Db): Write {
  if (db.getExecutor().adapter.supportsMultipleConnections) return (write) => write(db)
  let waiting: Waiting[] = []

  async function commit(): Promise<void> {
    const group = waiting.slice(0, GROUP)
    waiting = waiting.slice(GROUP)
    if (waiting.length > 0) setImmediate(commit)
    try {
      const results = await transact(db, async (tx) => {
        const done: unknown[] = []
        for (const { write } of group) done.push(await write(tx))
        return done
      })
      for (const [index, { resolve }] of group.entries()) resolve(results[index])
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }

  return (write) =>
    new Promise((resolve, reject) => {
      // Each in the asynchronous context of whoever asked, which traces depend on.
      waiting.push({ write: AsyncResource.bind(write), resolve: resolve as Waiting['resolve'], reject })
      if (waiting.length === 1) setImmediate(commit)
    })
}
