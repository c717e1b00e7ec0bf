import type { z } from 'zod'
import type { Revocation } from '../tokens/revocations.ts'
import { ageOf, expiryOf, type FeedEvent, type FeedPage } from './feed.ts'
import type { FeedBody } from './schemas.ts'

/** A stretch of the feed as it goes over the wire. */
export function feedBody(page: FeedPage): z.input<typeof FeedBody> {
  const { revocations, cursor, more } = page
  return { revocations: revocations.map(revocationBody), cursor, more, age: rounded(ageOf(page)) }
}

/** An event of the stream as text/event-stream has it (HTML Living Standard, section 9.2). */
export function eventText(event: FeedEvent): string {
  if ('age' in event) return `event: alive\ndata: ${JSON.stringify({ age: rounded(event.age) })}\n\n`
  let text = pageTexts.get(event.page)
  if (text === undefined) {
    const { revocations, cursor } = event.page
    const body = JSON.stringify({ revocations: revocations.map(revocationBody) })
    text = `id: ${cursor}\nevent: revocations\ndata: ${body}\n\n`
    pageTexts.set(event.page, text)
  }
  return text
}

// A page is told to many, and written once.
const pageTexts = new WeakMap<FeedPage, string>()

function revocationBody(revocation: Revocation) {
  const expires_at = new Date(expiryOf(revocation)).toISOString()
  return 'sessionId' in revocation
    ? { sid: revocation.sessionId, expires_at }
    : { sub: revocation.accountId, roles: [...revocation.roles], expires_at }
}

function rounded(seconds: number): number {
  return Math.round(seconds * 1_000) / 1_000
}
