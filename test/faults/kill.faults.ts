// Run by `npm run test:faults`: it takes minutes. KILLS says how often each server is killed.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Database, openDatabase } from '../../src/database/open.ts'
import { childToken, hashOf, parseRefreshToken, type RefreshToken } from '../../src/sessions/refresh-token.ts'
import { createPostgresDatabase } from '../helpers/postgres.ts'
import { emptyFolder, type ServerProcess, startCli, startServer } from '../helpers/process.ts'
import { type DatabaseName, databases, PASSWORD, SECRET } from '../helpers/service.ts'

const KILLS = Number(process.env.KILLS ?? 100)
const SIGN_UP_LOOPS = 2
const REFRESH_LOOPS = 4
const LONGEST_LIFE = 250

/** What the clients saw, over all rounds. */
interface Tally {
  answered: number
  unanswered: number
  /** Answered with 2xx, and then not there. */
  lost: number
  /** Clients that hold a token with which they get no further, or an address that is neither free nor theirs. */
  stuck: number
  /** Sessions whose row knows another token than the one its client holds, or that one's child. */
  forked: number
}

interface User {
  readonly email: string
  /** The newest refresh token it received. */
  token: string
}

interface Reply {
  readonly status: number
  readonly body: { readonly refresh_token?: string; readonly tokens?: { readonly refresh_token: string } }
}

/** @returns the answer, or undefined where the connection broke before it came */
async function post(server: ServerProcess, path: string, body: object): Promise<Reply | undefined> {
  try {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return { status: response.status, body: (await response.json()) as Reply['body'] }
  } catch {
    return undefined
  }
}

function signUp(server: ServerProcess, email: string): Promise<Reply | undefined> {
  return post(server, '/auth/signup', { email, password: PASSWORD })
}

/** Refreshes once, and the user holds the new token. @returns the status, or undefined without an answer */
async function refresh(server: ServerProcess, user: User): Promise<number | undefined> {
  const reply = await post(server, '/auth/refresh', { refresh_token: user.token })
  if (reply?.status === 200) user.token = reply.body.refresh_token ?? ''
  return reply?.status
}

/** What one life of a server left with its clients. */
interface Round {
  /** Who signed up in it and was answered. */
  readonly signedUp: User[]
  /** Who asked to sign up and was not. */
  readonly unanswered: string[]
}

/** Clients sign up and refresh, each as fast as it is answered, until the server is killed under them. */
async function live(server: ServerProcess, refreshing: readonly User[], tally: Tally): Promise<Round> {
  const round: Round = { signedUp: [], unanswered: [] }

  async function signUpAgainAndAgain(): Promise<void> {
    for (;;) {
      const email = `${randomUUID()}@example.com`
      const reply = await signUp(server, email)
      if (reply === undefined) {
        tally.unanswered++
        round.unanswered.push(email)
        return
      }
      tally.answered++
      if (reply.status === 201) round.signedUp.push({ email, token: reply.body.tokens?.refresh_token ?? '' })
      else if (reply.status !== 503) tally.stuck++
    }
  }

  async function refreshAgainAndAgain(user: User): Promise<void> {
    for (;;) {
      const status = await refresh(server, user)
      if (status === undefined) {
        tally.unanswered++
        return
      }
      tally.answered++
      if (status !== 200) tally.stuck++
    }
  }

  const clients = [
    ...Array.from({ length: SIGN_UP_LOOPS }, signUpAgainAndAgain),
    ...refreshing.map(refreshAgainAndAgain),
  ]
  await sleep(Math.random() * LONGEST_LIFE)
  server.child.kill('SIGKILL')
  await Promise.all(clients)
  await server.ended()
  return round
}

/** Whether the user has one session, and its row knows the token the user holds or the one that follows it. */
async function hasOneHead({ db }: Database, user: User): Promise<boolean> {
  const held = parseRefreshToken(user.token) as RefreshToken
  const rows = await db
    .selectFrom('sessions')
    .innerJoin('accounts', 'accounts.id', 'sessions.account_id')
    .select(['sessions.id', 'secret_hash', 'rotation_salt', 'seal_key'])
    .where('email_key', '=', user.email)
    .execute()
  const [row] = rows
  if (row === undefined || rows.length > 1 || row.id !== held.sessionId) return false
  const known = [held, ...(row.rotation_salt === null ? [] : [childToken(held, row.rotation_salt, row)])]
  return known.filter(({ secret }) => hashOf(secret).equals(row.secret_hash)).length === 1
}

/** Looks at everything again with the next server: what was answered holds, and who was not answered gets further. */
async function lookAgain(
  server: ServerProcess,
  database: Database,
  { refreshing, round, tally }: { refreshing: readonly User[]; round: Round; tally: Tally },
): Promise<void> {
  for (const user of [...refreshing, ...round.signedUp]) {
    if (!(await hasOneHead(database, user))) tally.forked++
  }
  for (const user of refreshing) if ((await refresh(server, user)) !== 200) tally.stuck++
  for (const user of round.signedUp) if ((await refresh(server, user)) !== 200) tally.lost++
  for (const user of [...refreshing, ...round.signedUp]) {
    if (!(await hasOneHead(database, user))) tally.forked++
  }
  for (const email of round.unanswered) {
    const reply = await signUp(server, email)
    if (reply?.status === 201) continue
    // It was stored, only the answer was lost: the account is theirs.
    const login = await post(server, '/auth/login', { email, password: PASSWORD })
    if (reply?.status !== 409 || login?.status !== 200) tally.stuck++
  }
}

async function emptyDatabase(t: Test, kind: DatabaseName): Promise<string> {
  if (kind === 'sqlite') return `file:${emptyFolder(t)}/latchkey.db`
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  return url
}

for (const kind of databases) {
  t.test(`kill -9 loses nothing that was answered, and leaves nobody stuck, on ${kind}`, async (t) => {
    const url = await emptyDatabase(t, kind)
    const folder = emptyFolder(t)
    const env = { JWT_SECRET: SECRET, DATABASE_URL: url, NODE_COMPILE_CACHE: join(folder, 'cache') }
    const start = () => startServer(t, { folder, env })
    // A process that ends by itself leaves what it compiled; the hundred after it start sooner.
    await startCli(t, ['migrate'], { folder, env }).ended()
    const tally: Tally = { answered: 0, unanswered: 0, lost: 0, stuck: 0, forked: 0 }

    let server = await start()
    const database = await openDatabase({ url, poolSize: 2, onIdleError: () => {} })
    t.teardown(() => database.close())
    const refreshing: User[] = []
    for (let i = 0; i < REFRESH_LOOPS; i++) {
      const email = `${randomUUID()}@example.com`
      const reply = await signUp(server, email)
      refreshing.push({ email, token: reply?.body.tokens?.refresh_token ?? '' })
    }

    const everybody: User[] = [...refreshing]
    for (let kills = 0; kills < KILLS; kills++) {
      const round = await live(server, refreshing, tally)
      everybody.push(...round.signedUp)
      server = await start()
      await lookAgain(server, database, { refreshing, round, tally })
    }

    const rows = await database.db.selectFrom('accounts').select('email').execute()
    const emails = new Set(rows.map((row) => row.email))
    tally.lost += everybody.filter(({ email }) => !emails.has(email)).length
    server.child.kill('SIGTERM')
    await server.ended()

    const counts = Object.entries(tally).map(([name, count]) => `${count} ${name}`)
    t.comment(`${kind}: ${KILLS} kills, ${everybody.length} accounts, ${counts.join(', ')}`)
    t.ok(tally.answered > KILLS, 'there was something to lose')
    t.ok(tally.unanswered >= KILLS, 'there was something under way')
    t.match(tally, { lost: 0, stuck: 0, forked: 0 })
  })
}
