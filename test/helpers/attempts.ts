import type { LightMyRequestResponse } from 'fastify'
import { transact } from '../../src/database/transaction.ts'
import { waitAfter } from '../../src/throttling/limits.ts'
import { createAttemptStore, keyOf } from '../../src/throttling/store.ts'
import { PASSWORD, type TestService } from './service.ts'

/** Whoever sends a request says from which address: the test's own is that of a proxy. */
export const PROXIED = { TRUST_PROXY: '127.0.0.1' }

/** A password that is good enough, and nobody's. */
export const WRONG = 'not the password of anybody'

export interface LoginOptions {
  readonly password?: string
  /** The address it comes from; the test's own unless it is given. */
  readonly from?: string
}

/** Logs in, or tries to. */
export function logIn(
  service: TestService,
  email: string,
  { password = PASSWORD, from }: LoginOptions = {},
): Promise<LightMyRequestResponse> {
  return service.send('POST', '/auth/login', {
    body: { email, password },
    headers: from === undefined ? {} : { 'x-forwarded-for': from },
  })
}

/** Addresses of different networks, of which there are enough. */
export function stranger(number: number): string {
  return `198.18.${number >> 8}.${number & 255}`
}

/**
 * Guesses at an account, each time from another address and as soon as it may be, until so many have failed.
 *
 * @returns milliseconds that it took, by the service's clock
 */
export async function failAt(service: TestService, email: string, times: number): Promise<number> {
  const begun = service.clock()
  for (let failed = 0; failed < times; failed++) {
    let reply = await logIn(service, email, { password: WRONG, from: stranger(failed) })
    if (reply.statusCode === 429) {
      service.clock.advance(Number(reply.headers['retry-after']) * 1_000)
      reply = await logIn(service, email, { password: WRONG, from: stranger(failed) })
    }
    if (reply.statusCode !== 401) throw new Error(`attempt ${failed} answered ${reply.statusCode}`)
  }
  return service.clock() - begun
}

/** Leaves an account as if strangers had failed at it so often, the last time just now. */
export async function haveFailed({ database, clock }: TestService, email: string, failures: number) {
  const store = createAttemptStore(database.db)
  const subject = keyOf('account', email)
  await transact(store.db, async (tx) => {
    await store.count(tx, { key: subject, subject }, clock())
    const blocked_until = clock() + waitAfter(failures)
    await tx.updateTable('attempts').set({ failures, blocked_until }).where('key', '=', subject).execute()
  })
}

/** How often each status was answered. */
export function statuses(replies: readonly LightMyRequestResponse[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { statusCode } of replies) counts[statusCode] = (counts[statusCode] ?? 0) + 1
  return counts
}
