import t from 'tap'
import { freePort } from '../helpers/free-port.ts'
import { startCollector } from '../helpers/otlp.ts'
import { poll } from '../helpers/poll.ts'
import { startTraced, type TracedServer } from '../helpers/traced.ts'

const LOST = 'the collector does not take spans: they are lost'

const warnings = (server: TracedServer) => server.lines().filter(({ level }) => level === 40)

/** A full batch, which is sent at once. */
async function fillBatch(server: TracedServer): Promise<void> {
  for (let sent = 0; sent < 520; sent += 20) {
    await Promise.all(Array.from({ length: 20 }, () => server.send('GET', '/livez')))
  }
}

t.test('a collector that is down costs spans, and a line that says so', async (t) => {
  const server = await startTraced(
    t,
    { url: `http://127.0.0.1:${await freePort()}` },
    {
      env: { OTEL_EXPORTER_OTLP_TIMEOUT: '200' },
    },
  )
  await fillBatch(server)
  const [line] = await poll('a warning', () => warnings(server).length > 0 && warnings(server), 30_000)
  t.match(line, { msg: LOST, spans: Number, reason: /ECONNREFUSED/ })
  t.notOk('trace_id' in (line as object), 'which belongs to no request')
  await fillBatch(server)
  await server.drained()
  t.equal(warnings(server).length, 1, 'but not again and again')
})

t.test('a collector that hangs holds up neither requests nor the exit', async (t) => {
  const collector = await startCollector(t, () => new Promise<number>(() => {}))
  const server = await startTraced(t, collector)
  await fillBatch(server)
  await poll('the batch to hang', () => collector.bodies.length > 0, 30_000)
  t.equal((await server.send('GET', '/livez')).status, 200)
  await server.drained()
  t.match(server.lines().at(-1), { msg: 'drained' })
})

t.test('a collector that refuses is not asked again, and what it says stays there', async (t) => {
  const collector = await startCollector(t, () => 400)
  const server = await startTraced(t, collector)
  await server.send('GET', '/livez')
  await server.drained()
  t.equal(collector.bodies.length, 1)
  t.match(warnings(server), [{ msg: LOST, spans: 1, reason: '400 Bad Request' }])
})

t.test('a collector that has too much to do is asked again', async (t) => {
  let refusals = 0
  const collector = await startCollector(t, () => (refusals++ === 0 ? 503 : 200))
  const server = await startTraced(t, collector)
  await fillBatch(server)
  await poll('the batch', () => collector.spans.length >= 512, 30_000)
  await server.drained()
  t.strictSame(warnings(server), [])
})

t.test('more spans than can be sent are dropped, and that is said', async (t) => {
  let wakeUp = (_status: number) => {}
  const asleep = new Promise<number>((resolve) => {
    wakeUp = resolve
  })
  const collector = await startCollector(t, () => asleep)
  const server = await startTraced(t, collector, { env: { OTEL_EXPORTER_OTLP_TIMEOUT: '60000' } })
  for (let batch = 0; batch < 8; batch++) await fillBatch(server)
  wakeUp(200)
  const line = await poll(
    'a line about it',
    async () => {
      await server.send('GET', '/livez')
      return warnings(server).find(({ msg }) => msg === 'OpenTelemetry warns')
    },
    60_000,
  )
  t.match(line, { reason: /^Dropped \d+ spans because maxQueueSize reached$/ })
  await server.drained()
})

t.test('what is left is sent on the way out', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, { url: `${collector.url}/` })
  for (let sent = 0; sent < 30; sent++) await server.send('GET', '/livez')
  await server.drained()
  t.equal(collector.spans.length, 30)
  t.match(collector.headers[0], { url: '/v1/traces', 'content-type': 'application/x-protobuf' })
})
