import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import type { Scope } from '../http/validation.ts'
import { Problem } from '../problem.ts'
import { bearerToken } from '../tokens/bearer.ts'
import { requireScope } from '../tokens/guard.ts'
import { REVOCATIONS_SCOPE } from '../tokens/roles.ts'
import type { Verify } from '../tokens/verifier.ts'
import type { Feed, FeedEvent } from './feed.ts'
import { FeedBody, FeedQuery } from './schemas.ts'
import { eventText, feedBody } from './wire.ts'

/** How much a node does for those who follow it. */
export interface StreamLimits {
  /** Streams at the same time. */
  readonly streams: number
  /** Streams of one account at the same time: one credential alone doesn't take them all. */
  readonly streamsOfOne: number
  /** Milliseconds in which an event has to be taken: a stream that takes longer is cut, and can be resumed. */
  readonly patience: number
}

/** How many streams are open. */
export interface StreamCount {
  open: number
}

const usualLimits: StreamLimits = { streams: 1_000, streamsOfOne: 100, patience: 30_000 }

const EVENT_STREAM = 'text/event-stream'

export interface RevocationRoutesParts {
  readonly feed: Feed
  readonly guard: onRequestHookHandler
  readonly verify: Verify
  readonly limits?: StreamLimits
  /** Where it is counted how many there are. */
  readonly streams?: StreamCount
}

/** GET /revocations. */
export async function revocationRoutes(
  scope: Scope,
  { feed, guard, verify, limits = usualLimits, streams = { open: 0 } }: RevocationRoutesParts,
): Promise<void> {
  const streamsOf = new Map<string, number>()

  function count(account: string, change: 1 | -1): void {
    streams.open += change
    const left = (streamsOf.get(account) ?? 0) + change
    if (left === 0) streamsOf.delete(account)
    else streamsOf.set(account, left)
  }

  // A stream outlives the check at its beginning: each event needs a token that would still be let in.
  async function* textOf(events: AsyncGenerator<FeedEvent>, token: string, drop: () => void) {
    for await (const event of events) {
      if (!isLetIn(token)) return
      const tooSlow = setTimeout(drop, limits.patience)
      try {
        yield eventText(event)
      } finally {
        clearTimeout(tooSlow)
      }
    }
  }

  function isLetIn(token: string): boolean {
    try {
      verify(token)
      return true
    } catch {
      return false
    }
  }

  async function openStream(request: FastifyRequest, reply: FastifyReply, cursor: string | undefined) {
    const { sub } = request.user
    const own = streamsOf.get(sub) ?? 0
    if (streams.open >= limits.streams || own >= limits.streamsOfOne) throw new Problem('overloaded')
    count(sub, 1)
    reply.raw.once('close', () => count(sub, -1))
    const events = await feed.stream(cursor)
    const token = bearerToken(request.headers.authorization)
    const text = textOf(events, token, () => reply.raw.destroy())
    // One event at a time is made; nginx is told not to hold them back.
    return reply
      .type(EVENT_STREAM)
      .header('x-accel-buffering', 'no')
      .send(Readable.from(text, { highWaterMark: 1 }))
  }

  scope.register(async (guarded: Scope) => {
    guarded.addHook('onRequest', guard)
    guarded.addHook('onRequest', requireScope(REVOCATIONS_SCOPE))

    guarded.get(
      '/revocations',
      {
        // A HEAD would have to read a stream to its end.
        exposeHeadRoute: false,
        schema: {
          operationId: 'getRevocations',
          summary: 'The revocation feed, for services that verify tokens themselves',
          description:
            'Ask without a cursor for all that is live, then with the last cursor for what came since. With ' +
            '`Accept: text/event-stream` the answer is a stream that goes on: events `revocations` (an `id`, which is ' +
            'the cursor, and in `data` the `revocations`) and, when all has been told and every 2 s of silence, ' +
            '`alive` (in `data` the `age`). `Last-Event-ID` is heeded like `after`. The stream ends with its access token.',
          tags: ['revocations'],
          guarded: true,
          querystring: FeedQuery,
          response: { 200: FeedBody },
          eventStream: true,
          success: 'What was revoked, in order.',
          problems: ['insufficient_scope', 'cursor_gone', 'overloaded', 'database_unavailable'],
        },
      },
      async (request, reply) => {
        if (request.headers.accept?.includes(EVENT_STREAM)) {
          const lastEventId = request.headers['last-event-id']
          return openStream(
            request,
            reply,
            lastEventId === undefined ? request.query.after : String(lastEventId),
          )
        }
        return feedBody(await feed.page(request.query.after))
      },
    )
  })
}
