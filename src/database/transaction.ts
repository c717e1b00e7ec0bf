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
