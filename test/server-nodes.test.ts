import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { logIn, request, signUp } from './helpers/client.ts'
import { PROMPTLY, poll } from './helpers/poll.ts'
import { createPostgresDatabase, startPostgres } from './helpers/postgres.ts'
import { emptyFolder, startServer } from './helpers/process.ts'
import { databases, SECRET } from './helpers/service.ts'

async function databaseUrl(t: Test, kind: (typeof databases)[number]): Promise<string> {
  if (kind === 'sqlite') return `file:${join(emptyFolder(t), 'latchkey.db')}`
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  return url
}

async function codeOf(url: string, token: string): Promise<unknown> {
  const { status, json } = await request(url, '/me', { token })
  return status === 200 ? 'let in' : json.code
}

async function logOut(url: string, token: string): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, connection: 'close' }
  const { status } = await fetch(`${url}/auth/logout`, { method: 'POST', headers })
  if (status !== 204) throw new Error(`logout answered ${status}`)
}

for (const kind of databases) {
  t.test(`who is logged out on one node is refused by all, also after a restart, on ${kind}`, async (t) => {
    const env = { JWT_SECRET: SECRET, DATABASE_URL: await databaseUrl(t, kind) }
    const told = await startServer(t, { env })
    const other = await startServer(t, { env })
    const email = `${randomUUID()}@example.com`
    const token = await signUp(told.url, email)
    const stays = await logIn(other.url, email)
    t.equal(await codeOf(other.url, token), 'let in')

    await logOut(told.url, token)
    t.equal(await codeOf(told.url, token), 'token_revoked', 'at once by the node that is told')
    await poll(
      'the other to refuse',
      async () => (await codeOf(other.url, token)) === 'token_revoked',
      PROMPTLY,
    )
    t.equal(await codeOf(other.url, stays), 'let in', 'and nobody else')

    told.child.kill('SIGKILL')
    await told.ended()
    const again = await startServer(t, { env })
    t.equal(await codeOf(again.url, token), 'token_revoked', 'by a new node from its first request on')
    t.equal(await codeOf(again.url, stays), 'let in')
  })
}

t.test('a node that hears nothing says so, and refuses where that is asked for', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.destroy())
  const env = { JWT_SECRET: SECRET, DATABASE_URL: server.url }
  const open = await startServer(t, { env })
  const closed = await startServer(t, { env: { ...env, REVOCATION_MAX_STALENESS: '1s' } })
  const token = await signUp(open.url, `${randomUUID()}@example.com`)
  for (const { url } of [open, closed]) t.equal(await codeOf(url, token), 'let in')

  await server.kill()
  await poll(
    'the closed node to refuse',
    async () => (await codeOf(closed.url, token)) === 'revocations_stale',
  )
  const { status, json } = await request(closed.url, '/me', { token: 'x' })
  t.match({ status, json }, { status: 401, json: { code: 'token_invalid' } }, 'a bad token all the same')
  t.equal(await codeOf(open.url, token), 'let in', 'the open one serves from what it knows')
  await poll('the age to be told', async () => {
    const { json } = await request(open.url, '/readyz')
    return /^The database does not answer; what is known of revocations is [1-9]\d* s old\.$/.test(
      String(json.detail),
    )
  })
  for (const node of [open, closed]) {
    await poll('a line in the log', () =>
      /the revocations can't be followed: what is known is \d+ s old/.test(node.stdout()),
    )
  }

  await server.start()
  await poll('the closed node to let in', async () => (await codeOf(closed.url, token)) === 'let in')
  await poll('another line in the log', () => closed.stdout().includes('caught up with the revocations'))
  await poll('the node to be ready', async () => (await request(closed.url, '/readyz')).status === 200)
})
