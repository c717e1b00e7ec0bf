import type { FastifyInstance } from 'fastify'
import type { Statement } from '../database/open.ts'
import type { Hashing } from '../passwords/passwords.ts'

/** What a log line says of the trace it belongs to, by the names of OpenTelemetry's log correlation. */
export interface TraceIds {
  readonly trace_id: string
  readonly span_id: string
  /** 01 where the trace is sampled, so that there is something to be found under its id; else 00. */
  readonly trace_flags: string
}

/** Spans of what a process does. */
export interface Tracing {
  /** @returns the ids for a line that is logged right now; nothing outside of requests */
  ids(): TraceIds | Record<string, never>
  /** Gives each request a span. It comes before every other hook, so that all they do is within the span. */
  traceRequests(app: FastifyInstance): void
  /** A span for a statement that ended just now, if it was sent within a request. */
  onStatement(statement: Statement): void
  /** A span for a hash that ended just now, if it was asked for within a request. */
  onHashing(hashing: Hashing): void
  /**
   * Sends what is left, as far as the collector takes it in time; never throws.
   *
   * @param until when it is waited for no longer, by performance.now()
   */
  stop(until: number): Promise<void>
}

export interface TracingOptions {
  /** The base URL of an OTLP collector, as OTEL_EXPORTER_OTLP_ENDPOINT says it. */
  readonly endpoint: string
  /** Networks whose traceparent is believed. */
  readonly trustProxy: readonly string[] | false
  /** Where OpenTelemetry's own variables are read. */
  readonly env: Readonly<Record<string, string | undefined>>
}

/**
 * Loads OpenTelemetry, which nothing else in here imports: who doesn't trace has nothing of it in memory, and need not
 * even have it installed.
 *
 * @throws Error that says, in a line that is fit for whoever starts the service, why it can't be traced
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { createTracing } = await import('./opentelemetry.ts').catch(({ code }: NodeJS.ErrnoException) => {
    throw new Error(
      `OTEL_EXPORTER_OTLP_ENDPOINT: OpenTelemetry can't be loaded (${code}): npm ci installs it, but not with ` +
        '--omit=optional or below Node.js 24',
    )
  })
  return createTracing(options)
}
