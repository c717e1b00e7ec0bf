import t, { type Test } from 'tap'
import { poll } from '../helpers/poll.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { createService, PASSWORD, SECRET } from '../helpers/service.ts'

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown> & {
    readonly tokens?: { access_token: string; refresh_token: string }
  }
  /** Milliseconds. */
  readonly took: number
}

async function ask(
  { url }: ServerProcess,
  path: string,
  { token, ...body }: Record<string, string> = {},
): Promise<Reply> {
  const begun = performance.now()
  const response = await fetch(url + path, {
    signal: AbortSignal.timeout(10_000),
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    ...(Object.keys(body).length > 0 && { method: 'POST', body: JSON.stringify(body) }),
  })
  const { status, headers } = response
  return { status, headers, body: (await response.json()) as Reply['body'], took: performance.now() - begun }
}

async function signUp(server: ServerProcess, email: string) {
  const { status, body } = await ask(server, '/auth/signup', { email, password: PASSWORD })
  if (status !== 201 || body.tokens === undefined) throw new Error(`sign-up answered ${status}`)
  return { email, token: body.tokens.access_token, refresh_token: body.tokens.refresh_token }
}

/** What a node without its database does: lets in whoever has a token, and says quickly that it can't do the rest. */
async function isWithoutDatabase(
  t: Test,
  server: ServerProcess,
  { email, token, refresh_token }: Awaited<ReturnType<typeof signUp>>,
): Promise<void> {
  const needing = await Promise.all([
    ask(server, '/auth/login', { email, password: PASSWORD }),
    ask(server, '/auth/refresh', { refresh_token }),
    ask(server, '/auth/signup', { email: `new.${email}`, password: PASSWORD }),
    ask(server, '/account', { token }),
    ask(server, '/account/sessions', { token }),
    ask(server, '/auth/logout', { token, scope: 'others' }),
    ask(server, '/readyz'),
  ])
  for (const { status, body, headers, took } of needing) {
    t.equal(status, 503)
    t.equal(body.code, 'database_unavailable')
    t.match(headers.get('retry-after'), /^[1-9]\d*$/)
    t.ok(took < 4_000, `it took ${took} ms`)
  }
  for (const path of ['/me', '/livez']) {
    const { status, took } = await ask(server, path, { token })
    t.equal(status, 200, path)
    t.ok(took < 2_000, `it took ${took} ms`)
  }
}

async function isWhole(
  t: Test,
  server: ServerProcess,
  user: Awaited<ReturnType<typeof signUp>>,
): Promise<void> {
  await poll('the service to be ready', async () => (await ask(server, '/readyz')).status === 200)
  const { email, token, refresh_token } = user
  t.equal((await ask(server, '/auth/login', { email, password: PASSWORD })).status, 200)
  t.equal((await ask(server, '/account', { token })).status, 200)
  t.equal((await ask(server, '/auth/refresh', { refresh_token })).status, 200)
  t.equal(server.child.exitCode, null, 'it is still the same process')
}

t.test('a node and its PostgreSQL', async (t) => {
  const postgres = await startPostgres()
  let thaw = () => {}
  t.teardown(async () => {
    thaw()
    await postgres.destroy()
  })
  const server = await startServer(t, { env: { JWT_SECRET: SECRET, DATABASE_URL: postgres.url } })

  await t.test('PostgreSQL is killed and comes back', async (t) => {
    const user = await signUp(server, 'ada@example.com')
    await ask(server, '/readyz')

    // Requests are under way as it dies, on connections in use and on idle ones.
    const underWay = Array.from({ length: 30 }, () => ask(server, '/account', { token: user.token }))
    await postgres.kill()
    for (const { status } of await Promise.all(underWay)) t.match(String(status), /^(200|503)$/)

    await poll('the probe to notice', async () => (await ask(server, '/readyz')).status === 503)
    await isWithoutDatabase(t, server, user)
    await isWithoutDatabase(t, server, user)
    await postgres.start()
    await isWhole(t, server, user)
  })

  await t.test('PostgreSQL hangs and goes on', async (t) => {
    const user = await signUp(server, 'bob@example.com')
    thaw = await postgres.freeze()
    await poll('the probe to notice', async () => (await ask(server, '/readyz')).status === 503)
    await isWithoutDatabase(t, server, user)
    await isWithoutDatabase(t, server, user)
    thaw()
    await isWhole(t, server, user)
  })

  await t.test('the pool is crowded while PostgreSQL hangs', async (t) => {
    const user = await signUp(server, 'eve@example.com')
    thaw = await postgres.freeze()
    const crowd = Array.from({ length: 60 }, () => ask(server, '/account', { token: user.token }))
    const { status, took } = await ask(server, '/me', { token: user.token })
    t.equal(status, 200)
    t.ok(took < 2_000, `it took ${took} ms`)
    for (const { status, took } of await Promise.all(crowd)) {
      t.equal(status, 503)
      t.ok(took < 4_000, `it took ${took} ms`)
    }
    thaw()
    await isWhole(t, server, user)
  })
})

t.test('a token is good for /me after its database was closed', async (t) => {
  const service = await createService(t)
  const { accessToken: token, sessionId } = await service.signUp()
  await service.database.close()
  const me = await service.send('GET', '/me', { token })
  t.equal(me.statusCode, 200)
  t.equal(me.json().sid, sessionId)
})
