import t from 'tap'
import { startCollector } from '../helpers/otlp.ts'
import { startTraced } from '../helpers/traced.ts'

t.test('each worker sends its own spans, and says which it is', async (t) => {
  const collector = await startCollector(t)
  const server = await startTraced(t, collector, { env: { WORKERS: '2' } })
  for (let sent = 0; sent < 20; sent++) {
    // Connections go to the workers in turn.
    await server.send('GET', '/livez', { headers: { connection: 'close' } })
  }
  await server.drained()
  t.equal(collector.spans.length, 20)
  const workers = new Set(collector.spans.map(({ resource }) => resource['service.instance.id']))
  t.equal(workers.size, 2)
})
