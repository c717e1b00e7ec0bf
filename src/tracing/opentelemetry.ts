import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout } from 'node:timers/promises'
import { DiagLogLevel, diag, type Span } from '@opentelemetry/api'
import {
  defaultResource,
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { FastifyBaseLogger } from 'fastify'
import { version } from '../version.ts'
import { createExporter, onceAMinute } from './exporter.ts'
import { createOriginOf } from './parent.ts'
import { traceRequests } from './requests.ts'
import { samplerOf } from './sampler.ts'
import type { Tracing, TracingOptions } from './tracing.ts'
import { traceHashing, traceStatement } from './work.ts'

/** Milliseconds for which a process on its way out waits for the collector, at most. */
const LAST_FLUSH = 3_000

/** Characters of an attribute, at most: a statement may name as many placeholders as it has values. */
const LONGEST_ATTRIBUTE = 4_096

/**
 * Spans by OpenTelemetry's SDK. They are kept in a bounded queue and sent from there in batches: a collector that is
 * slow or away costs spans, never a request's time.
 *
 * @throws Error if OTEL_TRACES_SAMPLER or OTEL_TRACES_SAMPLER_ARG is wrong
 */
export function createTracing({ endpoint, trustProxy, env }: TracingOptions): Tracing {
  const active = new AsyncLocalStorage<Span>()
  let log: FastifyBaseLogger | undefined

  // A batch is sent when some request has ended, which has nothing to do with it.
  const warn = (fields: object, message: string) => active.exit(() => log?.warn(fields, message))
  const exporter = createExporter(endpoint, (spans, reason) =>
    warn({ spans, reason }, 'the collector does not take spans: they are lost'),
  )
  // That its queue is full, the SDK says here alone; that a batch was lost, it says here too.
  const warnOfSdk = onceAMinute((reason: string) => warn({ reason }, 'OpenTelemetry warns'))
  const ignore = () => {}
  diag.setLogger(
    { error: ignore, warn: warnOfSdk, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  )
  const provider = new TracerProvider({
    sampler: samplerOf(env),
    resource: defaultResource()
      .merge(resourceFromAttributes({ 'service.name': 'latchkey', 'service.version': version }))
      .merge(
        detectResources({
          detectors: [serviceInstanceIdDetector, resourceAttributesEnvDetector, serviceNameEnvDetector],
        }),
      ),
    spanLimits: { attributeValueLengthLimit: LONGEST_ATTRIBUTE },
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  })
  const tracer = provider.getTracer('latchkey', version)
  const originOf = createOriginOf(trustProxy)

  // What goes on when the answer is out, or was never sampled, has no span.
  function recording(): Span | undefined {
    const span = active.getStore()
    return span?.isRecording() ? span : undefined
  }

  return {
    ids() {
      const span = active.getStore()
      if (span === undefined) return {}
      const { traceId, spanId, traceFlags } = span.spanContext()
      return { trace_id: traceId, span_id: spanId, trace_flags: `0${traceFlags}` }
    },
    traceRequests(app) {
      log = app.log
      traceRequests(app, { tracer, active, originOf })
    },
    onStatement(statement) {
      const parent = recording()
      if (parent !== undefined) traceStatement(tracer, parent, statement)
    },
    onHashing(hashing) {
      const parent = recording()
      if (parent !== undefined) traceHashing(tracer, parent, hashing)
    },
    async stop(until) {
      const flushed = provider.shutdown().catch(() => {
        // The exporter has said why.
      })
      const longest = Math.max(0, Math.min(LAST_FLUSH, until - performance.now()))
      await Promise.race([flushed, setTimeout(longest, undefined, { ref: false })])
    },
  }
}
