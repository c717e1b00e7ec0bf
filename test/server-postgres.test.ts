import pg from 'pg'
import t from 'tap'
import { logIn, request, signUp } from './helpers/client.ts'
import { poll } from './helpers/poll.ts'
import { createPostgresDatabase } from './helpers/postgres.ts'
import { startCli, startServer } from './helpers/process.ts'
import { SECRET } from './helpers/service.ts'

t.test('two that start at once on an empty PostgreSQL share everything', async (t) => {
  const { url: databaseUrl, drop } = await createPostgresDatabase()
  t.teardown(drop)
  const env = { DATABASE_URL: databaseUrl, JWT_SECRET: SECRET, NODE_ENV: 'production' }
  const [one, other] = await Promise.all([startServer(t, { env }), startServer(t, { env })])
  const token = await signUp(one.url, 'ada@example.com')
  const otherToken = await logIn(other.url, 'ada@example.com')
  for (const { url } of [one, other]) {
    t.match(await request(url, '/me', { token }), { status: 200 })
    t.match(await request(url, '/me', { token: otherToken }), { status: 200 })
  }

  // What an operator does when a server has to be moved.
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'latchkey' and datname = current_database()`,
  )
  await client.end()
  await poll('a warning', () => one.stdout().includes('an idle connection to PostgreSQL broke'))
  t.match(await request(one.url, '/account', { token }), { status: 200 }, 'and it goes on')

  for (const server of [one, other]) server.child.kill('SIGTERM')
  t.match(await Promise.all([one.ended(), other.ended()]), [{ code: 0 }, { code: 0 }])
})

t.test('a database that PostgreSQL does not have is said in one line, without the password', async (t) => {
  const { url, drop } = await createPostgresDatabase()
  await drop()
  const { pathname, password } = new URL(url)
  const server = startCli(t, ['serve'], { env: { DATABASE_URL: url, LOG_LEVEL: 'warn' } })
  t.match(await server.ended(), { code: 1 })
  t.equal(
    server.stderr(),
    `latchkey: DATABASE_URL: the database can't be opened (database "${pathname.slice(1)}" does not exist)\n`,
  )
  t.notOk(server.stderr().includes(`:${password}@`))
})
