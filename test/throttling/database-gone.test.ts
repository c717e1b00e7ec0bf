import { sql } from 'kysely'
import pg from 'pg'
import t from 'tap'
import { failAt, logIn, PROXIED, stranger, WRONG } from '../helpers/attempts.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { sharedServerUrl } from '../helpers/postgres.ts'
import { isProblem } from '../helpers/problems.ts'
import {
  createService,
  type DatabaseName,
  databases,
  PASSWORD,
  type TestService,
} from '../helpers/service.ts'

const HOME = '192.0.2.1'

/** Does something to the PostgreSQL database of that URL, and cuts every connection to it. */
async function alter(url: string, change: string): Promise<void> {
  const name = new URL(url).pathname.slice(1)
  const client = new pg.Client({ connectionString: sharedServerUrl() })
  await client.connect()
  try {
    await client.query(`alter database ${name} ${change}`)
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  } finally {
    await client.end()
  }
}

/** Lets a database be read and not written, or both again. */
async function setReadOnly(kind: DatabaseName, url: string, { database }: TestService, is: boolean) {
  if (kind === 'sqlite') await sql`pragma query_only = ${sql.raw(is ? 'on' : 'off')}`.execute(database.db)
  else await alter(url, `set default_transaction_read_only = ${is ? 'on' : 'off'}`)
}

for (const kind of databases) {
  t.test(`where nothing can be written, nobody hears whether a password is right, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const service = await createService(t, { database: await openAsNode(t, url), env: PROXIED })
    const [ada, eve] = [await service.signUp('ada@example.com'), await service.signUp('eve@example.com')]
    for (const { email } of [ada, eve]) await logIn(service, email, { from: HOME })
    await service.database.db
      .updateTable('accounts')
      .set({ status: 'disabled' })
      .where('id', '=', eve.accountId)
      .execute()
    await setReadOnly(kind, url, service, true)

    const answers = new Set<string>()
    for (const email of [ada.email, eve.email, 'nobody@example.com']) {
      for (const password of [PASSWORD, WRONG]) {
        for (const from of [HOME, stranger(1)]) {
          for (const wish of [{}, { scope: 'admin' }]) {
            const body = { email, password, ...wish }
            const reply = await service.send('POST', '/auth/login', {
              body,
              headers: { 'x-forwarded-for': from },
            })
            isProblem(t, reply, 'database_unavailable')
            const { request_id, ...told } = reply.json()
            t.ok(request_id)
            answers.add(JSON.stringify(told))
          }
        }
      }
    }
    t.equal(answers.size, 1)
    const prove = (current_password: string) =>
      service.send('PATCH', '/account', { token: ada.accessToken, body: { name: 'Ada', current_password } })
    for (const password of [PASSWORD, WRONG]) isProblem(t, await prove(password), 'database_unavailable')
    const refresh = (refresh_token: string) =>
      service.send('POST', '/auth/refresh', { body: { refresh_token } })
    for (const token of ['nonsense', ada.refreshToken])
      isProblem(t, await refresh(token), 'database_unavailable')

    await setReadOnly(kind, url, service, false)
    await poll('it to be written again', async () => (await logIn(service, ada.email)).statusCode === 200)
    t.equal(await failAt(service, ada.email, 5), 0)
    isProblem(t, await logIn(service, ada.email, { from: stranger(1) }), 'too_many_attempts')
  })
}

t.test('where there is no PostgreSQL, nothing is tried, and what was counted stays', async (t) => {
  const url = await emptyDatabase(t, 'postgres')
  const service = await createService(t, { database: await openAsNode(t, url), env: PROXIED })
  const { email } = await service.signUp()
  await failAt(service, email, 4)
  await alter(url, 'with allow_connections false')
  for (let index = 0; index < 10; index++) {
    const password = index % 2 === 0 ? PASSWORD : WRONG
    isProblem(t, await logIn(service, email, { password, from: stranger(index) }), 'database_unavailable')
  }
  await alter(url, 'with allow_connections true')
  const failed = () => logIn(service, email, { password: WRONG, from: stranger(9) })
  await poll('the database to be back', async () => (await failed()).statusCode === 401)
  isProblem(t, await logIn(service, email, { from: stranger(1) }), 'too_many_attempts')
})

t.test('while somebody else holds the SQLite file, nobody hears whether a password is right', async (t) => {
  const url = await emptyDatabase(t, 'sqlite')
  const service = await createService(t, { database: await openAsNode(t, url), env: PROXIED })
  const { email } = await service.signUp()
  await logIn(service, email, { from: HOME })
  const other = await openAsNode(t, url)
  const held = Promise.withResolvers<void>()
  const holding = other.db.transaction().execute(() => held.promise)
  const replies = await Promise.all(
    [PASSWORD, WRONG, PASSWORD, WRONG].map((password, index) =>
      logIn(service, email, { password, from: index < 2 ? HOME : stranger(index) }),
    ),
  )
  for (const reply of replies) isProblem(t, reply, 'database_unavailable')
  held.resolve()
  await holding
  t.equal((await logIn(service, email, { from: HOME })).statusCode, 200)
})
