import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { Test } from 'tap'
import { poll } from './poll.ts'

/** A span as a collector receives it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Empty at the top of a trace. */
  readonly parentSpanId: string
  readonly name: string
  /** 1 is internal, 2 a server's, 3 a client's. */
  readonly kind: number
  /** Nanoseconds since 1970. */
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Readonly<Record<string, unknown>>
  /** 2 is an error. */
  readonly status: number
  readonly statusMessage: string
  readonly events: number
  readonly links: readonly {
    readonly traceId: string
    readonly spanId: string
    readonly traceState: string
  }[]
  readonly traceState: string
  /** The attributes of the process it comes from. */
  readonly resource: Readonly<Record<string, unknown>>
}

/** An OTLP collector: an HTTP server that takes protobuf at /v1/traces. */
export interface Collector {
  readonly url: string
  readonly spans: ReceivedSpan[]
  /** What came, as it came: in it nothing can be overlooked. */
  readonly bodies: Buffer[]
  readonly headers: Readonly<Record<string, unknown>>[]
  /** Waits for a span of that name. */
  span(name: string): Promise<ReceivedSpan>
  /** What stands below a span, in the order in which it began. */
  below(span: ReceivedSpan): ReceivedSpan[]
}

/** @param answer the status with which it answers a request, some time or never; it takes all unless it is given */
export async function startCollector(
  t: Test,
  answer: () => number | Promise<number> = () => 200,
): Promise<Collector> {
  const spans: ReceivedSpan[] = []
  const bodies: Buffer[] = []
  const headers: Record<string, unknown>[] = []
  const server = createServer(async (request, response) => {
    const body = await buffer(request)
    headers.push({ ...request.headers, url: request.url })
    bodies.push(body)
    const status = await answer()
    if (status === 200) spans.push(...decodeTraces(body))
    response.writeHead(status).end()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    headers,
    span: (name) =>
      poll(`a span ${name}`, () => spans.find((span) => span.name === name), 30_000).catch((error) => {
        throw new Error(`${error.message}; there is ${spans.map(({ name }) => name).join(', ')}`)
      }),
    below: ({ spanId }) =>
      spans.filter(({ parentSpanId }) => parentSpanId === spanId).sort((a, b) => Number(a.start - b.start)),
  }
}

/** Reads an ExportTraceServiceRequest: https://github.com/open-telemetry/opentelemetry-proto. */
function decodeTraces(body: Buffer): ReceivedSpan[] {
  return all(body, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(all(one(resourceSpans, 1), 1))
    return all(resourceSpans, 2).flatMap((scopeSpans) =>
      all(scopeSpans, 2).map((span) => ({
        ...idsOf(span),
        parentSpanId: one(span, 4).toString('hex'),
        name: one(span, 5).toString(),
        kind: Number(number(span, 6)),
        start: number(span, 7),
        end: number(span, 8),
        attributes: attributesOf(all(span, 9)),
        events: all(span, 11).length,
        links: all(span, 13).map(idsOf),
        status: Number(number(one(span, 15), 3)),
        statusMessage: one(one(span, 15), 2).toString(),
        resource,
      })),
    )
  })
}

function idsOf(message: Buffer) {
  return {
    traceId: one(message, 1).toString('hex'),
    spanId: one(message, 2).toString('hex'),
    traceState: one(message, 3).toString(),
  }
}

function attributesOf(pairs: readonly Buffer[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map((pair) => [one(pair, 1).toString(), readValue(one(pair, 2))]))
}

function readValue(value: Buffer): unknown {
  const [[field, content] = [0, 0n]] = fields(value)
  if (field === 1) return (content as Buffer).toString()
  if (field === 5) return all(content as Buffer, 1).map(readValue)
  return field === 2 ? content === 1n : Number(content)
}

function all(message: Buffer, field: number): Buffer[] {
  return fields(message)
    .filter(([number]) => number === field)
    .map(([, content]) => content as Buffer)
}

function one(message: Buffer, field: number): Buffer {
  return all(message, field)[0] ?? Buffer.alloc(0)
}

function number(message: Buffer, field: number): bigint {
  return (fields(message).find(([number]) => number === field)?.[1] ?? 0n) as bigint
}

/** The fields of a protobuf message: https://protobuf.dev/programming-guides/encoding. */
function fields(message: Buffer): [number, Buffer | bigint][] {
  const found: [number, Buffer | bigint][] = []
  let at = 0
  const take = (length: number) => {
    at += length
    return message.subarray(at - length, at)
  }
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = take(1).readUInt8()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = Number(varint())
    const content = [
      varint,
      () => take(8).readBigUInt64LE(),
      () => take(Number(varint())),
      ...[undefined, undefined],
      () => BigInt(take(4).readUInt32LE()),
    ][tag & 7] as () => Buffer | bigint
    found.push([tag >> 3, content()])
  }
  return found
}
