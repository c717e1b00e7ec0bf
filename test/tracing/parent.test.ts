import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { createOriginOf } from '../../src/tracing/parent.ts'
import { startCollector } from '../helpers/otlp.ts'
import { startTraced } from '../helpers/traced.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const SAMPLED = `00-${TRACE}-${SPAN}-01`
const UNSAMPLED = `00-${TRACE}-${SPAN}-00`

const TRUSTING = { TRUST_PROXY: '10.0.0.0/8,::1,127.0.0.1' }

/** Sends GET /livez with each set of headers to a new service. @returns the spans there were, and the log's ids */
async function trace(t: Test, env: Record<string, string>, requests: readonly Record<string, string>[]) {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector, { env: { LOG_REQUESTS: 'on', ...env } })
  for (const headers of requests) {
    const { status } = await server.send('GET', '/livez', { headers })
    if (status !== 200) throw new Error(`GET /livez answered ${status}`)
  }
  await server.drained()
  const lines = server.lines().filter(({ msg }) => msg === 'request')
  return { spans: collector.spans.filter(({ name }) => name === 'GET /livez'), lines }
}

t.test('a proxy that is believed says to which trace a request belongs', async (t) => {
  const { spans, lines } = await trace(t, TRUSTING, [
    { traceparent: SAMPLED },
    { traceparent: `cc-${TRACE}-${SPAN}-01-what-a-later-version-adds` },
    { traceparent: UNSAMPLED },
  ])
  t.match(spans, [
    { traceId: TRACE, parentSpanId: SPAN, links: [] },
    { traceId: TRACE, parentSpanId: SPAN, links: [] },
  ])
  t.equal(spans.length, 2, 'and whether it is sampled')
  t.match(lines[2], { trace_id: TRACE, span_id: /^[\da-f]{16}$/, trace_flags: '00' })
})

t.test('it is known by its address, however a socket writes that', async (t) => {
  const parentOf = (trusted: readonly string[], remoteAddress: string | undefined) => {
    const request = {
      headers: { traceparent: SAMPLED },
      socket: { remoteAddress },
    } as unknown as IncomingMessage
    return createOriginOf(trusted)(request).parent
  }
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1', '192.0.2.7']) {
    t.match(
      parentOf(['10.0.0.0/8', 'fd00::/8', '192.0.2.7'], address),
      { traceId: TRACE, spanId: SPAN },
      address,
    )
  }
  for (const address of ['11.0.0.1', '::ffff:11.0.0.1', 'fe80::1%eth0', '::', undefined]) {
    t.equal(parentOf(['10.0.0.0/8', 'fd00::/8', '192.0.2.7'], address), undefined, String(address))
  }
})

t.test("with anybody else's a trace begins here, and is linked to theirs", async (t) => {
  const { spans } = await trace(t, { TRUST_PROXY: '10.0.0.0/8' }, [
    { traceparent: SAMPLED, 'x-forwarded-for': '10.1.1.1' },
    { traceparent: UNSAMPLED },
  ])
  t.equal(spans.length, 2, 'and they can not hide from it')
  for (const span of spans) {
    t.not(span.traceId, TRACE)
    t.match(span, { parentSpanId: '', links: [{ traceId: TRACE, spanId: SPAN, traceState: '' }] })
  }
})

t.test('nobody who is not believed can make themselves traced', async (t) => {
  for (const OTEL_TRACES_SAMPLER of ['parentbased_traceidratio', 'traceidratio']) {
    const env = { OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG: '0.000001' }
    // By the ratio of the trace's id this one would always be taken.
    const traceparent = `00-${'0'.repeat(31)}1-${SPAN}-01`
    const requests = Array.from({ length: 20 }, () => ({ traceparent }))
    t.strictSame((await trace(t, env, requests)).spans, [], OTEL_TRACES_SAMPLER)
    const trusted = await trace(t, { ...env, ...TRUSTING }, requests)
    t.equal(trusted.spans.length, 20, 'who is believed can')
  }
})

t.test('what is malformed, too long or none of its business is as if it were not there', async (t) => {
  const requests = [
    ...['', 'x', '00', `00-${TRACE}-${SPAN}`, `00-${TRACE}-${SPAN}-0`, `00-${TRACE}-${SPAN}-01-more`],
    ...[`ff-${TRACE}-${SPAN}-01`, `00-${'0'.repeat(32)}-${SPAN}-01`, `00-${TRACE}-${'0'.repeat(16)}-01`],
    ...[`00-${TRACE.toUpperCase()}-${SPAN}-01`, `${SAMPLED}, ${SAMPLED}`, `00-${TRACE}-${SPAN}-zz`],
    ...['0'.repeat(8_000), `00-${TRACE}-${SPAN}-01-${'a'.repeat(8_000)}`, '-'.repeat(8_000)],
  ].map((traceparent) => ({ traceparent }))
  const { spans } = await trace(t, TRUSTING, [
    ...requests,
    { tracestate: 'canary=1' },
    { baggage: 'canary=1' },
    {
      traceparent: SAMPLED,
      tracestate: `canary=${'a'.repeat(8_000)}`,
      baggage: `canary=${'b'.repeat(4_000)}`,
    },
  ])
  const last = spans.pop()
  t.equal(spans.length, requests.length + 2)
  for (const span of spans) {
    t.match(span, { parentSpanId: '', links: [], traceState: '' })
    t.not(span.traceId, TRACE)
  }
  t.match(last, { traceId: TRACE, parentSpanId: SPAN, traceState: '' })
})
