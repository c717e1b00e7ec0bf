import t from 'tap'
import { request, signUp } from '../helpers/client.ts'
import { parseExposition, valueIn } from '../helpers/exposition.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { startTwoWorkers, type TwoWorkers } from '../helpers/workers.ts'

const text = async (url: string) => (await fetch(url, { headers: { connection: 'close' } })).text()
const answered = (scraped: string, route: string) => valueIn(scraped, 'latchkey_requests_total', { route })

/** Asks for /livez a number of times, and waits until the metrics tell of it. @returns how often */
async function askBoth({ url, metricsUrl }: TwoWorkers): Promise<number> {
  const times = 20
  for (let count = 0; count < times; count++) await request(url, '/livez')
  await poll('the metrics to tell', async () => answered(await text(metricsUrl), '/livez') === times)
  return times
}

const places = [
  { database: 'postgres', port: '0', where: 'on a port of their own' },
  { database: 'sqlite', port: 'none', where: 'by whichever of them is asked' },
] as const

for (const { database, port, where } of places) {
  t.test(`metrics of all workers are told ${where}, on ${database}`, async (t) => {
    const workers = await startTwoWorkers(t, await emptyDatabase(t, database), port)
    const { url, metricsUrl } = workers
    t.equal(metricsUrl === `${url}/metrics`, port === 'none')
    const token = await signUp(url, 'ada@example.com')
    const asked = await askBoth(workers)
    await fetch(`${url}/auth/logout`, { method: 'POST', headers: { authorization: `Bearer ${token}` } })

    const scraped = await poll('both to know of the revocation', async () => {
      const now = await text(metricsUrl)
      return valueIn(now, 'latchkey_revocation_lag_seconds_count') === 2 && now
    })
    const metrics = parseExposition(scraped)
    t.equal(answered(scraped, '/livez'), asked, 'counters are sums')
    t.equal(valueIn(scraped, 'latchkey_revocations_live'), 1, 'what every worker has counts once')
    t.equal(valueIn(scraped, 'latchkey_ready'), 1)
    t.equal(valueIn(scraped, 'latchkey_build_info'), 1)
    t.equal(valueIn(scraped, 'latchkey_workers'), 2)
    t.equal(valueIn(scraped, 'latchkey_worker_deaths_total'), 0)
    t.ok(metrics.has('nodejs_eventloop_lag_p99_seconds'))
    t.ok(metrics.has('process_start_time_seconds'))
    t.match(await workers.end(), { code: 0 })
  })
}

t.test('a worker that hangs or dies hangs no scrape, and takes nothing from the sums', async (t) => {
  const workers = await startTwoWorkers(t, await emptyDatabase(t, 'sqlite'))
  const asked = await askBoth(workers)
  const [pid = 0] = workers.pids
  process.kill(pid, 'SIGSTOP')
  for (let times = 0; times < 2; times++) {
    const begun = performance.now()
    t.equal(answered(await text(workers.metricsUrl), '/livez'), asked)
    t.ok(performance.now() - begun < 5_000)
  }
  process.kill(pid, 'SIGKILL')
  const scraped = await poll(
    'another to have its place',
    async () => {
      const now = await text(workers.metricsUrl)
      if (answered(now, '/livez') !== asked) throw new Error('the sums have fallen')
      const isReplaced = valueIn(now, 'latchkey_workers') === 2
      return valueIn(now, 'latchkey_worker_deaths_total') === 1 && isReplaced && now
    },
    30_000,
  )
  parseExposition(scraped)
  t.match(await workers.end(), { code: 0 })
})
