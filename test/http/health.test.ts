import Fastify from 'fastify'
import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { openDatabase } from '../../src/database/open.ts'
import { createReadiness, healthRoutes } from '../../src/http/health.ts'
import { type Scope, useZod } from '../../src/http/validation.ts'
import { poll } from '../helpers/poll.ts'
import { createPostgresDatabase, sharedServerUrl } from '../helpers/postgres.ts'
import { isProblem } from '../helpers/problems.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createDatabase, createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`a healthy service is alive and ready, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const alive = await service.send('GET', '/livez')
    t.equal(alive.statusCode, 200)
    t.strictSame(alive.json(), { status: 'alive' })
    const ready = await service.send('GET', '/readyz')
    t.equal(ready.statusCode, 200)
    const { revocations, ...rest } = ready.json()
    const [signing] = service.keyring.kids
    const keys = { signing, verifying: [signing] }
    t.strictSame(rest, { status: 'ready', checks: { database: 'up' }, keys })
    t.equal(revocations.live, 0)
    t.ok(revocations.age >= 0 && revocations.age < 5, `what is known is ${revocations.age} s old`)
    for (const reply of [alive, ready]) t.equal(reply.headers['cache-control'], 'no-store')
  })

  t.test(`a flood of probes makes few queries, on ${database}`, async (t) => {
    const real = await createDatabase(t, database)
    let pings = 0
    const ping = () => {
      pings++
      return real.ping()
    }
    const app = Fastify()
    useZod(app)
    const revocations = { size: 0, age: () => 0 }
    const requireReady = createReadiness({
      database: { ping },
      revocations,
      maxStaleness: undefined,
      isDraining: () => false,
    })
    await healthRoutes(app as unknown as Scope, { requireReady, keyring: { kids: ['a kid'] }, revocations })
    const replies = await Promise.all(Array.from({ length: 200 }, async () => app.inject('/readyz')))
    t.ok(replies.every((reply) => reply.statusCode === 200))
    t.ok(pings <= 3, `${pings} pings for 200 probes`)
    const before = pings
    await poll('the answer to grow old', async () => {
      await app.inject('/readyz')
      return pings > before
    })
    await app.close()
  })
}

// Takes the database away from the service, for good.
async function dropDatabase({ database }: TestService): Promise<void> {
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(database.db)
  const client = new pg.Client({ connectionString: sharedServerUrl() })
  await client.connect()
  await client.query(`drop database ${rows[0]?.name} with (force)`)
  await client.end()
}

t.test('without its database a service is alive, not ready, and lets in whoever has a token', async (t) => {
  const service = await createService(t, { database: 'postgres' })
  const { email, accessToken: token, refreshToken } = await service.signUp()
  await dropDatabase(service)

  await poll(
    'the service to be unready',
    async () => (await service.send('GET', '/readyz')).statusCode === 503,
  )
  const proof = { current_password: PASSWORD }
  const credentials = { email, password: PASSWORD }
  const replies = await Promise.all([
    service.send('GET', '/readyz'),
    service.send('POST', '/auth/signup', { body: credentials }),
    service.send('POST', '/auth/login', { body: credentials }),
    service.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } }),
    service.send('POST', '/auth/logout', { token }),
    service.send('GET', '/account', { token }),
    service.send('PATCH', '/account', { token, body: { name: 'Ada' } }),
    service.send('PATCH', '/account', { token, body: { ...proof, email: 'ada@example.com' } }),
    service.send('PUT', '/account/password', { token, body: { ...proof, new_password: 'a new password' } }),
    service.send('DELETE', '/account', { token, body: proof }),
    service.send('GET', '/account/sessions', { token }),
    service.send('DELETE', '/account/sessions/019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071', { token }),
  ])
  for (const reply of replies) {
    isProblem(t, reply, 'database_unavailable')
    t.equal(reply.headers['retry-after'], '2')
    t.notMatch(reply.body, /postgres|connection|127\.0\.0\.1/i, 'nothing of what broke leaves the process')
  }
  t.equal((await service.send('GET', '/livez')).statusCode, 200)
  t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
})

t.test('a PostgreSQL that takes no writes is not ready', async (t) => {
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  const name = new URL(url).pathname.slice(1)
  const database = await openDatabase({ url, poolSize: 1, onIdleError: () => {} })
  t.teardown(() => database.close())
  await database.ping()
  // As after a fail-over: for every connection from now on.
  await sql.raw(`alter database ${name} set default_transaction_read_only = on`).execute(database.db)
  const later = await openDatabase({ url, poolSize: 1, onIdleError: () => {} })
  t.teardown(() => later.close())
  await t.rejects(later.ping(), { code: 'database_unavailable', cause: { message: 'it is read-only' } })
})

t.test('a service on its way out finishes what it accepted, and says that it is not ready', async (t) => {
  const service = await createService(t)
  const { email } = await service.signUp()
  const { app } = service
  await app.listen({ port: 0, host: '127.0.0.1' })
  const body = JSON.stringify({ email, password: PASSWORD })
  const connection = connectRaw(t, app)
  const head = 'POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json'
  connection.send(`${head}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n{`)
  const goOn = 'HTTP/1.1 100 Continue\r\n\r\n'
  await poll('the request to be accepted', () => connection.received() === goOn)

  const closed = app.close()
  await poll('it to stop listening', () => !app.server.listening)
  connection.send(`${body.slice(1)}GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n`)
  const text = await connection.closed()
  await closed

  const [first = '', second = ''] = text.slice(goOn.length).split(/(?=HTTP\/1\.1 )/)
  t.equal(parseResponse(first).status, 200, 'the login')
  const unready = parseResponse(second)
  t.equal(unready.status, 503)
  t.equal(unready.headers['retry-after'], '1')
  t.equal(JSON.parse(unready.body).code, 'shutting_down')
})
