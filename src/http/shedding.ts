import { performance } from 'node:perf_hooks'
import type { onRequestHookHandler } from 'fastify'
import { Problem } from '../problem.ts'

// Milliseconds. A timer that rings so often says how late everything is; the mean is that of about so long.
const RING_EVERY = 20
const MEAN_OF = 250

/**
 * Milliseconds that the event loop may be late before what strangers ask for is refused. What a flood of logins costs
 * that are refused anyway stays below it: it must not shut out the few that get through.
 */
const LATE = 150

/** Who has a session and needs a new token comes after all others: without one, guarded requests are refused too. */
const VERY_LATE = 500

/** Hooks that refuse what is asked without an access token while there is too much to do, before any of it is read. */
export interface Shedding {
  /** For a stranger's password, which takes room in the queue of hashes as well. @throws Problem overloaded */
  readonly hashing: onRequestHookHandler
  /** For whatever else a stranger asks. @throws Problem overloaded */
  readonly strangers: onRequestHookHandler
  /** For who says that there is a session. @throws Problem overloaded */
  readonly sessions: onRequestHookHandler
}

/**
 * Watches how late the event loop is: a moving average, so that a pause now and then is nothing. It is a timer of our
 * own, as monitorEventLoopDelay() forgets the longest delays each time that it is reset.
 *
 * @param requireRoom throws Problem overloaded where the queue of hashes has no room for a stranger
 * @returns the hooks, and what begins the watch, once the process is up, and ends it
 */
export function watchEventLoop(requireRoom: () => void) {
  let lateness = 0
  let timer: NodeJS.Timeout | undefined

  function start(): void {
    let rangAt = performance.now()
    timer = setInterval(() => {
      const elapsed = performance.now() - rangAt
      rangAt += elapsed
      lateness += (elapsed - RING_EVERY - lateness) * Math.min(1, elapsed / MEAN_OF)
    }, RING_EVERY).unref()
  }

  const refuseAt = (limit: number, require = () => {}) =>
    hook(() => {
      if (lateness > limit) throw new Problem('overloaded')
      require()
    })

  const shed: Shedding = {
    hashing: refuseAt(LATE, requireRoom),
    strangers: refuseAt(LATE),
    sessions: refuseAt(VERY_LATE),
  }
  return { shed, start, stop: () => clearInterval(timer) }
}

// A hook with a callback costs no promise; what it throws has to be handed on.
function hook(check: () => void): onRequestHookHandler {
  return (_request, _reply, done) => {
    try {
      check()
    } catch (error) {
      done(error as Error)
      return
    }
    done()
  }
}
