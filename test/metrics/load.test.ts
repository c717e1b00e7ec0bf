import { Registry } from '@prometheus-io/client'
import { sql } from 'kysely'
import pg from 'pg'
import { pino } from 'pino'
import t from 'tap'
import { createApp } from '../../src/app.ts'
import { openDatabase } from '../../src/database/open.ts'
import { createMetrics } from '../../src/metrics/metrics.ts'
import { type ServiceMetricsParts, serviceMetrics } from '../../src/metrics/service-metrics.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { type ThrottleScope, throttleScopes } from '../../src/throttling/refusals.ts'
import { valueIn } from '../helpers/exposition.ts'
import { poll } from '../helpers/poll.ts'
import { createPostgresDatabase, sharedServerUrl } from '../helpers/postgres.ts'
import { CHEAP_ARGON2, createDatabase, createService, PASSWORD } from '../helpers/service.ts'

t.test('hashes are timed as they wait and as they run', async (t) => {
  const metrics = createMetrics()
  const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency: 1 }, metrics.onHashing)
  await Promise.all([
    passwords.hash(PASSWORD),
    passwords.verify(undefined, PASSWORD),
    passwords.hash(PASSWORD),
  ])
  const text = await metrics.text()
  t.equal(valueIn(text, 'latchkey_argon2_wait_seconds_count'), 3)
  t.equal(valueIn(text, 'latchkey_argon2_seconds_count'), 3)
  const hashed = valueIn(text, 'latchkey_argon2_seconds_sum')
  const waited = valueIn(text, 'latchkey_argon2_wait_seconds_sum')
  t.ok(hashed > 0 && waited > 0, `${hashed} s, and ${waited} s before`)
})

t.test('what hashes there are to make is told, and what was refused', async (t) => {
  const service = await createService(t)
  const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 16_384, concurrency: 1 })
  const { load } = passwords
  const metrics = createMetrics()
  const app = createApp({ ...service, passwords, metrics, logger: pino({ level: 'silent' }) })
  t.teardown(() => app.close())
  const logIn = async (index: number) => {
    const payload = { email: `someone-${index}@example.com`, password: PASSWORD }
    return (await app.inject({ method: 'POST', url: '/auth/login', payload })).statusCode
  }
  const statuses = Promise.all(Array.from({ length: 300 }, (_, index) => logIn(index)))
  await poll('one to run and others to wait', () => load.running === 1 && load.waiting > 0)
  const busy = await metrics.registry.metrics()
  t.equal(valueIn(busy, 'latchkey_argon2_concurrency'), 1)
  t.equal(valueIn(busy, 'latchkey_argon2_running'), 1)
  t.ok(valueIn(busy, 'latchkey_argon2_waiting') > 0)
  const refused = (await statuses).filter((status) => status === 503).length
  t.ok(refused > 0)
  const idle = await metrics.registry.metrics()
  t.equal(valueIn(idle, 'latchkey_argon2_refused_total'), refused)
  t.equal(valueIn(idle, 'latchkey_argon2_running'), 0)
  t.equal(valueIn(idle, 'latchkey_argon2_waiting'), 0)
})

/** What there is to tell of a service that has nothing to do. */
async function idleParts(): Promise<ServiceMetricsParts> {
  const { load } = await createPasswords(CHEAP_ARGON2)
  const refusals = Object.fromEntries(throttleScopes.map((scope) => [scope, 0]))
  return {
    version: '1',
    requireReady: async () => {},
    throttle: { refusals: refusals as Record<ThrottleScope, number> },
    hashing: load,
    poolUse: undefined,
  }
}

t.test('connections to PostgreSQL are told as they are, and what fails is counted', async (t) => {
  const { registry, onStatement } = createMetrics()
  const { url, drop } = await createPostgresDatabase()
  const database = await openDatabase({ url, poolSize: 2, onIdleError: () => {}, onStatement })
  t.teardown(async () => {
    await database.close()
    await drop()
  })
  const { db, poolUse } = database
  serviceMetrics(registry, { ...(await idleParts()), poolUse })
  const read = async (name: string, labels = {}) =>
    valueIn(await registry.metrics(), `latchkey_database_${name}`, labels)

  t.equal(await read('pool_size'), 2)
  t.equal(await read('pool_failures_total'), 0)
  const held = Promise.withResolvers<void>()
  const holding = [1, 2].map(() => db.transaction().execute(() => held.promise))
  await poll('both to be in use', async () => (await read('pool_open')) === 2)
  const waiting = db.selectFrom('accounts').select('id').execute()
  await poll('one to wait', async () => (await read('pool_waiting')) === 1)
  t.equal(await read('pool_idle'), 0)
  await t.rejects(waiting, { code: 'database_unavailable' })
  t.equal(await read('pool_failures_total'), 1)
  held.resolve()
  await Promise.all(holding)
  await poll('both to be idle', async () => (await read('pool_idle')) === 2)

  const failures = (reason: string) => read('statement_failures_total', { reason })
  t.equal(await failures('other'), 0)
  await t.rejects(sql`select * from nowhere`.execute(db))
  t.equal(await failures('other'), 1)
  t.equal(await failures('unavailable'), 0)
  await t.rejects(sql`select pg_terminate_backend(pg_backend_pid())`.execute(db))
  t.equal(await failures('unavailable'), 1)
  t.ok((await read('statement_seconds_count')) >= 4)
})

t.test('on SQLite there is no pool to tell of', async (t) => {
  const { send } = await createService(t)
  t.notMatch((await send('GET', '/metrics')).body, /pool/)
})

t.test('a service without its database is not ready', async (t) => {
  const database = await createDatabase(t, 'postgres')
  const { send } = await createService(t, { database })
  const ready = async () => valueIn((await send('GET', '/metrics')).body, 'latchkey_ready')
  t.equal(await ready(), 1)
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(database.db)
  const client = new pg.Client({ connectionString: sharedServerUrl() })
  await client.connect()
  await client.query(`drop database ${rows[0]?.name} with (force)`)
  await client.end()
  await poll('it to be known', async () => (await ready()) === 0)
})

t.test('a scrape waits for no database that hangs', async (t) => {
  // Nothing else keeps this process from ending.
  const alive = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(alive))
  const registry = new Registry()
  const answers: PromiseWithResolvers<void>[] = []
  const requireReady = () => {
    const answer = Promise.withResolvers<void>()
    answers.push(answer)
    return answer.promise
  }
  serviceMetrics(registry, { ...(await idleParts()), requireReady })
  const ready = async () => valueIn(await registry.metrics(), 'latchkey_ready')
  t.equal(await ready(), 1, 'it was, as far as is known')
  answers[0]?.reject(new Error('no answer'))
  t.equal(await ready(), 0)
  answers[1]?.resolve()
  t.equal(await ready(), 1)
})
