// Run by `npm run test:faults`: how long it takes until every node refuses, and that no node misses a revocation. LOGOUTS says how often.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openDatabase } from '../../src/database/open.ts'
import { createRevocationStore } from '../../src/revocations/store.ts'
import { request, signUp } from '../helpers/client.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { poll } from '../helpers/poll.ts'
import { createPostgresDatabase, startPostgres } from '../helpers/postgres.ts'
import { emptyFolder, type ServerProcess, startServer } from '../helpers/process.ts'
import { PASSWORD, SECRET } from '../helpers/service.ts'

const LOGOUTS = Number(process.env.LOGOUTS ?? 500)
const LONGEST_DELAY = 1_000

function startNodes(t: Test, count: number, databaseUrl: string): Promise<ServerProcess[]> {
  const env = { DATABASE_URL: databaseUrl, JWT_SECRET: SECRET }
  return Promise.all(Array.from({ length: count }, () => startServer(t, { env })))
}

async function statusOf(node: ServerProcess, token: string): Promise<number> {
  const reply = await fetch(`${node.url}/me`, { headers: { authorization: `Bearer ${token}` } })
  await reply.arrayBuffer()
  return reply.status
}

async function logOut(node: ServerProcess, token: string): Promise<number | undefined> {
  try {
    const headers = { authorization: `Bearer ${token}` }
    const reply = await fetch(`${node.url}/auth/logout`, { method: 'POST', headers })
    await reply.arrayBuffer()
    return reply.status
  } catch {
    return undefined
  }
}

/** Access tokens of so many sessions of one account. */
async function logInOften(node: ServerProcess, count: number): Promise<string[]> {
  const email = `${randomUUID()}@example.com`
  await signUp(node.url, email)
  const tokens: string[] = []
  const one = async () => {
    while (tokens.length < count) {
      const { status, json } = await request(node.url, '/auth/login', { body: { email, password: PASSWORD } })
      if (status === 200) tokens.push(String(json.access_token))
    }
  }
  await Promise.all([one(), one(), one()])
  return tokens.slice(0, count)
}

/** Milliseconds from the answer of a logout until that node refuses. */
async function delayUntilRefused(node: ServerProcess, token: string, answeredAt: number): Promise<number> {
  for (;;) {
    const asked = performance.now()
    if ((await statusOf(node, token)) === 401) return Math.max(0, asked - answeredAt)
    if (asked - answeredAt > 10_000) throw new Error('a node still lets an ended session in after 10 s')
  }
}

async function measureDelays(t: Test, nodes: readonly ServerProcess[], what: string): Promise<void> {
  const tokens = await logInOften(nodes[0] as ServerProcess, LOGOUTS)
  const delays: number[] = []
  for (const [index, token] of tokens.entries()) {
    // Each node in turn is the one that is told.
    const told = nodes[index % nodes.length] as ServerProcess
    const others = nodes.filter((node) => node !== told)
    for (const node of others) if ((await statusOf(node, token)) !== 200) t.fail('a live session is refused')
    if ((await logOut(told, token)) !== 204) t.fail('a logout failed')
    const answeredAt = performance.now()
    if ((await statusOf(told, token)) !== 401) t.fail('the node that was told still lets it in')
    delays.push(...(await Promise.all(others.map((node) => delayUntilRefused(node, token, answeredAt)))))
  }
  delays.sort((a, b) => a - b)
  const at = (share: number) => (delays[Math.ceil(delays.length * share) - 1] as number).toFixed(1)
  t.comment(
    `${what}: ${delays.length} delays, p50 ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`,
  )
  t.equal(delays.length, LOGOUTS * (nodes.length - 1))
  t.ok(Number(at(0.99)) <= LONGEST_DELAY, 'p99 is at most a second')
}

t.test('log out on one of three nodes on PostgreSQL, and the others refuse', async (t) => {
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  await measureDelays(t, await startNodes(t, 3, url), 'three nodes on PostgreSQL')
})

t.test('log out on one of two processes on one SQLite file, and the other refuses', async (t) => {
  const url = `file:${join(emptyFolder(t), 'latchkey.db')}`
  await measureDelays(t, await startNodes(t, 2, url), 'two processes on SQLite')
})

t.test('PostgreSQL is killed in the middle of a thousand revocations: no node misses one', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.destroy())
  const nodes = await startNodes(t, 3, server.url)
  const tokens = Array.from({ length: 1_000 }, () => {
    const sid = randomUUID()
    return { sid, token: handMade(goodHeader, { ...goodClaims(Date.now()), sid }) }
  })

  const answered = new Set<string>()
  let next = 0
  let refusedMeanwhile = 0
  const worker = async (node: ServerProcess) => {
    for (let each = tokens[next++]; each !== undefined; each = tokens[next++]) {
      const status = await logOut(node, each.token)
      if (status === 204) answered.add(each.sid)
      else refusedMeanwhile++
    }
  }
  const workers = nodes.flatMap((node) => [worker(node), worker(node), worker(node)])
  await poll('some revocations', () => next > 300)
  await server.kill()
  await poll('revocations that fail', () => refusedMeanwhile > 100, 30_000)
  await server.start()
  await Promise.all(workers)

  // Also those whose answer was lost are there, or not, for all nodes alike.
  const database = await openDatabase({ url: server.url, poolSize: 1, onIdleError: () => {} })
  t.teardown(() => database.close())
  const rows = await createRevocationStore(database.db).after(0, 10_000)
  const committed = new Set(rows.map((row) => ('sessionId' in row ? row.sessionId : '')))
  t.comment(`${answered.size} answered, ${refusedMeanwhile} refused, ${committed.size} committed`)
  t.ok(answered.size > 200)
  t.strictSame(
    [...answered].filter((sid) => !committed.has(sid)),
    [],
    'what was answered is there',
  )

  for (const node of nodes) {
    let missed = committed.size
    await poll('the node to know all', async () => {
      const left = tokens.filter(({ sid }) => committed.has(sid))
      const statuses = await Promise.all(left.map(({ token }) => statusOf(node, token)))
      missed = statuses.filter((status) => status !== 401).length
      return missed === 0
    })
    t.equal(missed, 0)
    const others = tokens.filter(({ sid }) => !committed.has(sid))
    const statuses = await Promise.all(others.map(({ token }) => statusOf(node, token)))
    t.ok(
      statuses.every((status) => status === 200),
      'and refuses no other',
    )
  }
})
