import type { AsyncLocalStorage } from 'node:async_hooks'
import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { createOriginOf } from './parent.ts'

// https://opentelemetry.io/docs/specs/semconv/http/http-spans/: what a client makes up is not counted by its name.
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

export interface RequestSpans {
  readonly tracer: Tracer
  /** The span of the request that is being worked on. */
  readonly active: AsyncLocalStorage<Span>
  readonly originOf: ReturnType<typeof createOriginOf>
}

/**
 * A span from the first hook to the last byte of each answer, which is of 20 lines that semantic conventions ask for
 * the few that hold nothing of anybody: the method, the route's pattern and the status. No URL, no header, no address.
 */
export function traceRequests(app: FastifyInstance, { tracer, active, originOf }: RequestSpans): void {
  const spans = new WeakMap<FastifyRequest, Span>()

  function start({ method, routeOptions: { url: route }, raw }: FastifyRequest): Span {
    const { parent, links = [] } = originOf(raw)
    const isKnown = METHODS.has(method)
    const name = isKnown ? method : 'HTTP'
    return tracer.startSpan(
      route === undefined ? name : `${name} ${route}`,
      {
        kind: SpanKind.SERVER,
        links,
        attributes: {
          'http.request.method': isKnown ? method : '_OTHER',
          ...(route !== undefined && { 'http.route': route }),
        },
      },
      parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent),
    )
  }

  app.addHook('onRequest', (request, reply, done) => {
    const span = start(request)
    spans.set(request, span)
    // Unlike 'finish' it comes as well where the client has gone.
    if (span.isRecording()) reply.raw.once('close', () => end(span, reply))
    active.run(span, done)
  })

  // What comes of a body comes from the socket, which belongs to no request; and so does the end of an answer.
  app.addHook('preValidation', (request, _reply, done) => active.run(spans.get(request) as Span, done))
  app.addHook('onResponse', (request, _reply, done) => active.run(spans.get(request) as Span, done))
}

function end(span: Span, { raw: { headersSent, statusCode } }: FastifyReply): void {
  if (headersSent) span.setAttribute('http.response.status_code', statusCode)
  // What a client does wrong is no error of the server's. What broke is in the log, under the same trace id.
  if (statusCode >= 500) {
    span.setAttribute('error.type', String(statusCode))
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end()
}
