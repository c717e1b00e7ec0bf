import { setTimeout } from 'node:timers/promises'
import { Registry } from '@prometheus-io/client'

/** The type of what GET /metrics answers: Prometheus's text format. */
export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** Milliseconds for which what was made is good: of a flood of questions few make work. */
const SHARED_FOR = 100

/** @returns a function that makes one at a time, and gives the same to everybody who asks until 100 ms after that */
export function share<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let current: Promise<Made> | undefined
  return () => {
    current ??= make().finally(async () => {
      void setTimeout(SHARED_FOR, undefined, { ref: false }).then(() => {
        current = undefined
      })
    })
    return current
  }
}
