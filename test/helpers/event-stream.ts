import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { Test } from 'tap'
import { poll } from './poll.ts'

/** A text/event-stream that is being read. It is closed when the test ends. */
export interface EventStream {
  readonly response: Response
  /** What has come so far. */
  readonly events: readonly EventSourceMessage[]
  /** Whether the server has ended it. */
  ended(): boolean
  close(): void
  /** Waits for the nth event of that name, counted from 1. @returns its data */
  event(name: string, nth?: number): Promise<{ id: string | undefined; data: Record<string, unknown> }>
}

/** Opens a stream. @param headers what is asked with besides Accept */
export async function openEventStream(
  t: Test,
  url: string,
  headers: Record<string, string>,
): Promise<EventStream> {
  const abort = new AbortController()
  t.teardown(() => abort.abort())
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  })
  const events: EventSourceMessage[] = []
  let ended = false
  const parser = createParser({ onEvent: (event) => events.push(event) })
  void read().catch(() => {})

  async function read(): Promise<void> {
    try {
      const decoder = new TextDecoder()
      for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }))
    } finally {
      ended = true
    }
  }

  return {
    response,
    events,
    ended: () => ended,
    close: () => abort.abort(),
    async event(name, nth = 1) {
      const { id, data } = await poll(
        `event ${nth} of ${name}`,
        () => events.filter(({ event }) => event === name)[nth - 1],
      )
      return { id, data: JSON.parse(data) }
    },
  }
}
