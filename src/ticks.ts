import { executionAsyncResource } from 'node:async_hooks'

const kept: object[] = []

/**
 * Keeps process.nextTick() as fast as it is at the start. Node writes each tick as an object literal with computed names.
 * V8 remembers the shape of those weakly: a garbage collection while no tick waits forgets it, and from then on each tick
 * goes by the runtime and costs five times as much, for as long as the process lives. A request has six of them, a third
 * of what it costs to let one in. One tick that is never forgotten keeps the shape known (seen with Node 20 and 24).
 */
export function keepTicksFast(): void {
  process.nextTick(() => kept.push(executionAsyncResource()))
}
