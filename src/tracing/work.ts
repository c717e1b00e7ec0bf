import { ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api'
import type { Statement } from '../database/open.ts'
import type { Hashing } from '../passwords/passwords.ts'

const systems = { sqlite: 'sqlite', postgres: 'postgresql' } as const

/**
 * A span for a statement that ended just now, by https://opentelemetry.io/docs/specs/semconv/db/. Its text has
 * placeholders where values would stand. Of an error it says the kind alone: PostgreSQL's messages name values.
 */
export function traceStatement(
  tracer: Tracer,
  parent: Span,
  { dialect, sql, duration, error }: Statement,
): void {
  const operation = (/^\w+/.exec(sql) as RegExpExecArray)[0].toUpperCase()
  const table = /\b(?:from|into|update) "(\w+)"/.exec(sql)?.[1]
  const summary = table === undefined ? operation : `${operation} ${table}`
  const endedAt = performance.now()
  const options = {
    kind: SpanKind.CLIENT,
    startTime: endedAt - duration,
    attributes: {
      'db.system.name': systems[dialect],
      'db.operation.name': operation,
      'db.query.summary': summary,
      'db.query.text': sql,
      ...(table !== undefined && { 'db.collection.name': table }),
    },
  }
  const span = tracer.startSpan(summary, options, below(parent))
  if (error !== undefined) {
    span.setAttribute('error.type', kindOf(error))
    span.setStatus({ code: SpanStatusCode.ERROR })
  }
  span.end(endedAt)
}

/** Two spans for a hash that ended just now: the wait for its turn, and the work. */
export function traceHashing(tracer: Tracer, parent: Span, { operation, waited, worked }: Hashing): void {
  const endedAt = performance.now()
  const startedAt = endedAt - worked
  const span = (name: string, startTime: number) => tracer.startSpan(name, { startTime }, below(parent))
  span('argon2 wait', startedAt - waited).end(startedAt)
  span(`argon2 ${operation}`, startedAt).end(endedAt)
}

function below(parent: Span) {
  return trace.setSpan(ROOT_CONTEXT, parent)
}

// SQLSTATE, the code of a system call, or that of a Problem.
function kindOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code)
}
