import type { Worker } from 'node:cluster'
import { EventEmitter } from 'node:events'
import { Registry } from '@prometheus-io/client'
import Fastify, { type FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { createApp } from '../../src/app.ts'
import { histogram } from '../../src/metrics/define.ts'
import { share } from '../../src/metrics/exposition.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { DURATION_BUCKETS, meterRequests } from '../../src/metrics/requests.ts'
import { gatherWorkers } from '../../src/metrics/workers.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { parseExposition, valueIn } from '../helpers/exposition.ts'
import { poll } from '../helpers/poll.ts'
import { CHEAP_ARGON2, createService } from '../helpers/service.ts'

t.test('a flood of scrapes makes little work', async (t) => {
  let made = 0
  const shared = share(async () => {
    made++
    return made
  })
  const first = await Promise.all(Array.from({ length: 1_000 }, shared))
  t.strictSame(new Set(first), new Set([1]))
  t.equal(await poll('it to be made anew', async () => (await shared()) > 1 && made), 2)
})

t.test('what failed is not kept for longer', async (t) => {
  let made = 0
  const shared = share(async () => {
    made++
    if (made === 1) throw new Error('not this time')
    return made
  })
  await t.rejects(shared())
  t.equal(await poll('it to be made anew', async () => shared().catch(() => undefined)), 2)
})

t.test('two services in one process count each for itself', async (t) => {
  const [one, other] = [await createService(t), await createService(t)]
  await one.send('GET', '/livez')
  const livez = { route: '/livez', method: 'GET', status: '200' }
  t.equal(valueIn((await one.send('GET', '/metrics')).body, 'latchkey_requests_total', livez), 1)
  t.equal(valueIn((await other.send('GET', '/metrics')).body, 'latchkey_requests_total', livez), 0)
})

t.test('who scrapes before there are routes hears of what there is', async (t) => {
  const service = await createService(t)
  const metrics = createMetrics()
  const app = createApp({
    ...service,
    metrics,
    passwords: await createPasswords(CHEAP_ARGON2),
    logger: pino({ level: 'silent' }),
  })
  const text = await metrics.registry.metrics()
  t.equal(parseExposition(text).get('latchkey_logins_total')?.series.length, 0)
  t.equal(valueIn(text, 'latchkey_ready'), 1)
  await app.close()
})

t.test('every metric is there from the start, in the format as it is specified', async (t) => {
  const { send } = await createService(t)
  const reply = await send('GET', '/metrics')
  t.equal(reply.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
  const metrics = parseExposition(reply.body)
  t.ok(metrics.size >= 25)
  for (const [name, { type, series }] of metrics) {
    t.match(name, type === 'counter' ? /^latchkey_[a-z\d_]+_total$/ : /^latchkey_[a-z\d_]+(?<!_total)$/)
    for (const { labels } of series) t.notMatch(Object.values(labels).join(), /\s/)
  }
})

t.test('an answer that takes longer than any bucket counts in the last one alone', async (t) => {
  const app = Fastify({ loggerInstance: pino({ level: 'silent' }) as FastifyBaseLogger })
  const meters = meterRequests(app)
  const slowest = (DURATION_BUCKETS.at(-1) as number) * 1_000
  app.get('/slow', async (_request, reply) => {
    Object.defineProperty(reply, 'elapsedTime', { value: slowest + 1 })
    return 'at last'
  })
  app.get('/not-yet', { onSend: async () => {}, onError: async () => {} }, async () => 'soon')
  await app.inject('/slow')
  const meter = meters.find('GET', '/slow')
  t.strictSame(meter?.buckets, [...DURATION_BUCKETS.map(() => 0), 1])
  t.strictSame(meter?.answers, new Map([[200, 1]]))

  const registry = new Registry()
  histogram(registry, { name: 'taken', help: 'It.' }, DURATION_BUCKETS, () => [
    { labels: { route: '/slow' }, buckets: meter?.buckets ?? [], sum: 11 },
  ])
  const text = await registry.metrics()
  parseExposition(text)
  t.equal(valueIn(text, 'taken_bucket', { le: '10' }), 0)
  t.equal(valueIn(text, 'taken_bucket', { le: '+Inf' }), 1)
  await app.close()
})

t.test('a worker whose supervisor is silent says that it is overloaded', async (t) => {
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const silent = Object.assign(new EventEmitter(), { send: () => {} })
  await t.rejects(createMetrics(silent).text(), { code: 'overloaded' })
})

t.test('a worker that ends before it has said anything leaves nothing behind', async (t) => {
  const metrics = gatherWorkers()
  const worker = Object.assign(new EventEmitter(), { id: 1, send: () => {} })
  metrics.add(worker as unknown as Worker)
  worker.emit('exit', 1)
  const text = await metrics.text()
  t.equal(valueIn(text, 'latchkey_workers'), 0)
  t.equal(valueIn(text, 'latchkey_worker_deaths_total'), 1)
  t.equal(parseExposition(text).size, 2)
})
