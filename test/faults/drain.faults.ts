// Run by `npm run test:faults`: SIGTERM under load drops nothing that was let in. DRAINS says how often.
import { randomUUID } from 'node:crypto'
import { Agent, type ClientRequest, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { emptyDatabase } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { databases, PASSWORD, SECRET } from '../helpers/service.ts'

const DRAINS = Number(process.env.DRAINS ?? 5)
const LOAD_BEFORE = 1_000
const LONGEST = 10_000

// Clients that ask again as soon as they are answered, by what they ask for and how they connect.
const GUARDED_KEPT = 8
const GUARDED_FRESH = 8
const REFRESH_KEPT = 4
const REFRESH_FRESH = 4
const LOG_IN_KEPT = 1
const LOG_IN_FRESH = 1

interface User {
  readonly email: string
  access: string
  refresh: string
}

/** What became of the requests of one drain. */
interface Tally {
  /** Answered with what was asked for. */
  answered: number
  /** Answered at all after the signal. */
  answeredAfter: number
  /** Said to be too much (429, 503): the queue of log-ins is short. */
  putOff: number
  /** Reset while they connected. */
  refused: number
  /** Connected, and not answered; by the error. */
  readonly dropped: Record<string, number>
  /** Answered with something else. */
  readonly wrong: Record<string, number>
}

interface Reply {
  readonly status: number
  readonly body: Record<string, string> & { readonly tokens?: Record<string, string> }
}

/** Asks once. @throws an Error with the socket's `code` where there was no answer */
function ask(
  url: string,
  path: string,
  agent: Agent | false,
  { token, body }: { token?: string; body?: object },
) {
  return new Promise<Reply>((resolve, reject) => {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    }
    const method = body === undefined ? 'GET' : 'POST'
    const sent: ClientRequest = httpRequest(url + path, { method, headers, agent }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        text += chunk
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: JSON.parse(text) }))
    })
    sent.on('error', reject)
    sent.end(body && JSON.stringify(body))
  })
}

async function signUp(url: string): Promise<User> {
  const email = `${randomUUID()}@example.com`
  // A busy machine puts sign-ups off.
  const { body } = await poll('a sign-up', async () => {
    const reply = await ask(url, '/auth/signup', false, { body: { email, password: PASSWORD } })
    return reply.status === 201 && reply
  })
  return { email, access: body.tokens?.access_token ?? '', refresh: body.tokens?.refresh_token ?? '' }
}

/** Clients under way; each ends when nobody listens any more. */
function load(url: string, users: readonly User[], tally: Tally, isAfter: () => boolean): Promise<unknown> {
  async function again(next: () => Promise<Reply>): Promise<void> {
    for (;;) {
      try {
        const { status } = await next()
        if (status === 200) tally.answered++
        else if (status === 429 || status === 503) tally.putOff++
        else tally.wrong[status] = (tally.wrong[status] ?? 0) + 1
        if (isAfter()) tally.answeredAfter++
      } catch (error) {
        const { code = 'unknown', syscall } = error as NodeJS.ErrnoException
        if (code === 'ECONNREFUSED') return
        // The kernel had it in line as the port closed. No request was sent, so it is the same to the client.
        if (syscall === 'connect') {
          tally.refused++
          continue
        }
        const what = `${code} ${syscall}`
        tally.dropped[what] = (tally.dropped[what] ?? 0) + 1
      }
    }
  }

  const [first] = users as [User]
  const clients: Promise<void>[] = []
  const kept = () => new Agent({ keepAlive: true, maxSockets: 1 })
  const guarded = (agent: Agent | false) => () => ask(url, '/me', agent, { token: first.access })
  const logIn = (agent: Agent | false) => () =>
    ask(url, '/auth/login', agent, { body: { email: first.email, password: PASSWORD } })
  const refresh = (agent: Agent | false, user: User) => async () => {
    const reply = await ask(url, '/auth/refresh', agent, { body: { refresh_token: user.refresh } })
    if (reply.status === 200) user.refresh = reply.body.refresh_token ?? ''
    return reply
  }
  for (let i = 0; i < GUARDED_KEPT; i++) clients.push(again(guarded(kept())))
  for (let i = 0; i < GUARDED_FRESH; i++) clients.push(again(guarded(false)))
  for (let i = 0; i < LOG_IN_KEPT; i++) clients.push(again(logIn(kept())))
  for (let i = 0; i < LOG_IN_FRESH; i++) clients.push(again(logIn(false)))
  for (const [i, user] of users.slice(1).entries())
    clients.push(again(refresh(i < REFRESH_KEPT ? kept() : false, user)))
  return Promise.all(clients)
}

async function drainOnce(
  t: Test,
  server: ServerProcess,
): Promise<Tally & { readonly took: number; readonly before: number }> {
  const tally: Tally = { answered: 0, answeredAfter: 0, putOff: 0, refused: 0, dropped: {}, wrong: {} }
  const users: User[] = []
  while (users.length < 1 + REFRESH_KEPT + REFRESH_FRESH) users.push(await signUp(server.url))
  let after = false
  const clients = load(server.url, users, tally, () => after)
  await sleep(LOAD_BEFORE)
  const before = tally.answered
  const asked = performance.now()
  after = true
  server.child.kill('SIGTERM')
  const [end] = await Promise.all([server.ended(), clients])
  t.strictSame(end, { code: 0, signal: null })
  return { ...tally, before, took: performance.now() - asked }
}

for (const kind of databases) {
  for (const workers of ['2', '1']) {
    t.test(`SIGTERM under load on ${kind} with WORKERS=${workers} drops nothing`, async (t) => {
      const env = { JWT_SECRET: SECRET, DATABASE_URL: await emptyDatabase(t, kind), WORKERS: workers }
      for (let drain = 1; drain <= DRAINS; drain++) {
        const server = await startServer(t, { env })
        const { took, before, ...tally } = await drainOnce(t, server)
        const rate = Math.round((before / LOAD_BEFORE) * 1_000)
        t.comment(
          `${kind}, ${workers} workers: ${rate}/s, ${JSON.stringify(tally)}, gone after ${Math.round(took)} ms`,
        )
        t.ok(before > 100 && tally.answeredAfter > 20, 'there was something to drop')
        t.strictSame({ dropped: tally.dropped, wrong: tally.wrong }, { dropped: {}, wrong: {} })
        t.ok(took < LONGEST, `it took ${took} ms`)
      }
    })
  }
}
