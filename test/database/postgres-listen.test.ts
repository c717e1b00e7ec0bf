import { type AddressInfo, createServer, type Socket } from 'node:net'
import pg from 'pg'
import t, { type Test } from 'tap'
import { listen } from '../../src/database/postgres-listen.ts'
import { freePort } from '../helpers/free-port.ts'
import { poll } from '../helpers/poll.ts'
import { createPostgresDatabase, startPostgres } from '../helpers/postgres.ts'

const CHANNEL = 'some "odd" channel'

/** A connection to a database of its own, for what the others are told. */
async function administer(t: Test) {
  const { url, drop } = await createPostgresDatabase()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(async () => {
    await client.end()
    await drop()
  })
  const listeners = async (): Promise<number[]> => {
    const { rows } = await client.query(
      `select pid from pg_stat_activity where datname = current_database() and application_name = 'latchkey-listen'`,
    )
    return rows.map(({ pid }) => pid)
  }
  const notify = (channel: string, payload = '') =>
    client.query('select pg_notify($1, $2)', [channel, payload])
  return { url, client, listeners, notify }
}

/** Somebody who listens, and counts. It ends when the test does. */
function listener(t: Test, url: string, channel = CHANNEL) {
  let woken = 0
  const errors: Error[] = []
  const wake = () => {
    woken++
  }
  const end = listen({ url, onIdleError: (error) => errors.push(error) }, channel, wake)
  t.teardown(end)
  return { woken: () => woken, errors, end }
}

t.test('who listens is woken at the beginning, and whenever something is said', async (t) => {
  const { url, notify } = await administer(t)
  const { woken, errors } = listener(t, url)
  await poll('the beginning', () => woken() === 1)
  for (let n = 2; n <= 4; n++) {
    await notify('another channel')
    await notify(CHANNEL.toUpperCase())
    await notify(CHANNEL, String(n))
    await poll('what was said', () => woken() === n)
  }
  t.strictSame(errors, [])
})

t.test('what is said in a transaction is heard at its commit, and not without', async (t) => {
  const { url, client, notify } = await administer(t)
  const { woken } = listener(t, url)
  await poll('the beginning', () => woken() === 1)
  await client.query('begin')
  await notify(CHANNEL)
  await client.query('rollback')
  await client.query('begin')
  await notify(CHANNEL)
  await notify(CHANNEL)
  t.equal(woken(), 1)
  await client.query('commit')
  await poll('the commit', () => woken() === 2)
  await notify(CHANNEL)
  await poll('the next', () => woken() === 3)
})

t.test('a connection that breaks is made again, and wakes, for something may have been missed', async (t) => {
  const { url, client, listeners, notify } = await administer(t)
  const { woken } = listener(t, url)
  await poll('the beginning', () => woken() === 1)
  for (let n = 1; n <= 3; n++) {
    const [pid] = await listeners()
    await client.query('select pg_terminate_backend($1)', [pid])
    await poll('the next connection', () => woken() === 2 * n)
    t.notOk((await listeners()).includes(pid as number))
    await notify(CHANNEL)
    await poll('what was said', () => woken() === 2 * n + 1)
  }
})

t.test('it holds one connection, and none once it has ended', async (t) => {
  const { url, listeners, notify } = await administer(t)
  const { woken, end } = listener(t, url)
  await poll('the beginning', () => woken() === 1)
  t.equal((await listeners()).length, 1)
  await end()
  await poll('its end', async () => (await listeners()).length === 0)
  await notify(CHANNEL)
  await end()
  t.equal(woken(), 1)
})

t.test('it ends also before it has begun', async (t) => {
  const { url, listeners } = await administer(t)
  const { woken, errors, end } = listener(t, url)
  await end()
  await poll('its end', async () => (await listeners()).length === 0)
  t.ok(woken() <= 1)
  t.strictSame(errors, [])
})

t.test('where nobody is, it tells so and tries again, less and less often', async (t) => {
  const { url } = await administer(t)
  const nowhere = new URL(url)
  nowhere.port = String(await freePort())
  const { woken, errors, end } = listener(t, nowhere.href)
  await poll('a few attempts', () => errors.length >= 4)
  t.match(errors, [{ code: 'ECONNREFUSED' }, { code: 'ECONNREFUSED' }])
  const begun = performance.now()
  await end()
  t.ok(performance.now() - begun < 400, 'it does not wait for the next attempt')
  t.equal(woken(), 0)
  t.ok(errors.length < 8)
})

t.test('one who never says a word is given up, and does not hold up the end', async (t) => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket))
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const { woken, errors, end } = listener(t, `postgres://postgres@127.0.0.1:${port}/postgres`)
  await poll('the first attempt to be given up', () => errors.length === 1)
  await poll('the second attempt', () => sockets.size === 2)
  const begun = performance.now()
  await end()
  const took = performance.now() - begun
  t.ok(took < 4_000, `its end took ${took} ms`)
  t.equal(woken(), 0)
})

t.test('a PostgreSQL that hangs does not hold up the end', async (t) => {
  const postgres = await startPostgres()
  t.teardown(() => postgres.destroy())
  const { woken, end } = listener(t, postgres.url)
  await poll('the beginning', () => woken() === 1)
  const goOn = await postgres.freeze()
  try {
    const begun = performance.now()
    const ended = end().then(() => true)
    let isOver = false
    void ended.then(() => {
      isOver = true
    })
    await poll('its end', () => isOver)
    const took = performance.now() - begun
    t.ok(took < 4_000, `its end took ${took} ms`)
  } finally {
    goOn()
  }
})
