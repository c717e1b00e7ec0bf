import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import type { SpanExporter } from '@opentelemetry/sdk-trace'

/** Milliseconds between two lines about the same trouble. */
const REMIND_EVERY = 60_000

/** Told that the collector didn't take spans: how many since it was last told, and why. */
export type OnLost = (spans: number, reason: string) => void

/**
 * Sends spans to a collector, in protobuf over HTTP. What it doesn't take, even when it is tried again, is lost: nobody
 * waits for it. Headers, certificates, compression and time-out are as OTEL_EXPORTER_OTLP_... says.
 *
 * @param endpoint the collector's base URL
 * @param onLost told at once, and then again when a minute has passed
 */
export function createExporter(endpoint: string, onLost: OnLost): SpanExporter {
  const url = `${endpoint.replace(/\/$/, '')}/v1/traces`
  const exporter = new OTLPTraceExporter({ url })
  let lost = 0
  const tell = onceAMinute((error: Error) => {
    onLost(lost, reasonOf(error))
    lost = 0
  })

  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.error !== undefined) {
          lost += spans.length
          tell(result.error)
        }
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
  }
}

/** @returns the function, which does nothing if it was called less than a minute ago */
export function onceAMinute<Value>(tell: (value: Value) => void): (value: Value) => void {
  let remindAt = Number.NEGATIVE_INFINITY
  return (value) => {
    const now = performance.now()
    if (now < remindAt) return
    remindAt = now + REMIND_EVERY
    tell(value)
  }
}

// A host with several addresses, none of which answers, gives an error without a message. What the collector's answer
// says in its body is left out.
function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return [code, message].filter(Boolean).join(' ')
}
