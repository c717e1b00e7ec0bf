import type { Worker } from 'node:cluster'
import type { Socket } from 'node:net'
import type { ToWorker } from './messages.ts'

// Milliseconds in which a worker takes a connection. One that has no file descriptor left never does, nor hears of it.
const TAKE_WITHIN = 5_000

// So many that weren't taken in a row, and the worker hangs.
const HANGS_AFTER = 3

/** A connection on its way to a worker. */
interface Given {
  readonly id: number
  readonly socket: Socket
  readonly timer: NodeJS.Timeout
}

/** A worker, and what it hasn't taken yet. */
interface Place {
  given: Given | undefined
  /** How many it has let go by since it took one. */
  missed: number
  /** It gets no more. */
  leaving: boolean
}

/**
 * Hands connections to workers in turn. Who hasn't taken the last one gets no other, so the busy get fewer; and until
 * then it is kept open here as well, so that it can go to another if the worker dies. A worker that takes none for long
 * is killed: it hangs, or has no file descriptor left.
 *
 * node:cluster does it too, but closes what is on its way as the last worker stops listening, leaves what was given to
 * a dying one hanging, and can't close the port before.
 */
export function createRoundRobin() {
  // In the order in which they get their turn.
  const workers = new Map<Worker, Place>()
  const waiting: Socket[] = []
  let ids = 0
  let emptied = () => {}

  function handOut(): void {
    const takers = [...workers].filter(([, { leaving }]) => !leaving)
    for (const [worker, { given }] of takers) {
      if (given !== undefined) continue
      const socket = waiting.shift()
      if (socket === undefined) break
      hand(socket, worker)
    }
    if (takers.length === 0) for (const socket of waiting.splice(0)) socket.destroy()
    if (waiting.length === 0) emptied()
  }

  function hand(socket: Socket, worker: Worker): void {
    const place = workers.get(worker) as Place
    const id = ++ids
    const timer = setTimeout(() => {
      place.missed++
      if (place.missed === HANGS_AFTER) worker.process.kill('SIGKILL')
      letGo(worker, id)
    }, TAKE_WITHIN)
    place.given = { id, socket, timer }
    const message: ToWorker = { type: 'connection', id }
    // With keepOpen Node doesn't send it again where it wasn't taken: that is told by the timer alone.
    worker.send(message, socket, { keepOpen: true }, () => {})
  }

  function letGo(worker: Worker, id: number): void {
    const place = workers.get(worker)
    if (place?.given?.id !== id) return
    clearTimeout(place.given.timer)
    place.given.socket.destroy()
    place.given = undefined
    workers.delete(worker)
    if (!place.leaving) workers.set(worker, place)
    handOut()
  }

  return {
    /** A new connection, of which nothing has been read. */
    give(socket: Socket): void {
      waiting.push(socket)
      handOut()
    },

    /** A worker to which connections may go from now on. */
    add(worker: Worker): void {
      workers.set(worker, { given: undefined, missed: 0, leaving: false })
      handOut()
    },

    /** The worker has the connection with this number, by a handle of its own. */
    taken(worker: Worker, id: number): void {
      const place = workers.get(worker)
      if (place !== undefined) place.missed = 0
      letGo(worker, id)
    },

    /** No more go to the worker. What is on its way there it still takes. */
    remove(worker: Worker): void {
      const place = workers.get(worker)
      if (place !== undefined) place.leaving = true
      if (place?.given === undefined) workers.delete(worker)
      handOut()
    },

    /** The worker is gone, and all that it said was heard: what it hasn't taken goes to another. */
    lose(worker: Worker): void {
      const given = workers.get(worker)?.given
      workers.delete(worker)
      if (given !== undefined) {
        clearTimeout(given.timer)
        waiting.unshift(given.socket)
      }
      handOut()
    },

    /** Waits until every connection is on its way to a worker. */
    empty(): Promise<void> {
      return new Promise((resolve) => {
        emptied = resolve
        handOut()
      })
    },
  }
}
