import { LatchkeyError } from './error.ts'

/** Waits no longer than until the signal is aborted. What is waited for goes on: others may wait for it too. */
export function unlessAborted<Result>(
  promise: Promise<Result>,
  signal: AbortSignal | null | undefined,
): Promise<Result> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    // React Native's signals have no reason.
    const abort = () => reject(signal.reason ?? new LatchkeyError('aborted'))
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/** @param ms milliseconds */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/**
 * How long to wait before trying again: what the service asks for, and doubling from 200 ms to 30 s, of that a random
 * part between half and all, so that many who lost the same thing don't come back at once.
 *
 * @param failures how many attempts have failed before
 * @param error why this one did; a LatchkeyError may say for how long to wait
 * @returns milliseconds, an hour at most
 */
export function backOff(failures: number, error: unknown): number {
  const { retryAfter = 0 } = Object(error)
  const wait = Math.min(30_000, 200 * 2 ** failures) * (0.5 + Math.random() / 2)
  return Math.min(3_600_000, retryAfter * 1_000 + wait)
}
