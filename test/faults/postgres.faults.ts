// Run by `npm run test:faults`: what a node answers while its PostgreSQL is gone, hangs or is held, and how long it takes
// until it is itself again.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { at, bystander } from '../helpers/bystander.ts'
import { request, signUp } from '../helpers/client.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { poll } from '../helpers/poll.ts'
import { type PostgresServer, startPostgres } from '../helpers/postgres.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { PASSWORD, SECRET } from '../helpers/service.ts'

// Milliseconds in which whatever needs the database is answered, whatever the database does; half a second of it is for
// a busy machine. A login asks for a connection again and again, and where the pool is crowded may wait each time.
const IN_TIME = 2_500
const LOGIN_IN_TIME = 6_000
/** Milliseconds after which a database that is there again is used again. */
const RECOVERED = 5_000
/** Milliseconds in which whoever needs no database is served, on two busy cores. */
const BESIDE = 250

const LOGINS = 4

interface Answer {
  readonly at: number
  readonly isLogin: boolean
  readonly status: number
  readonly code: unknown
  readonly took: number
}

/** Clients that need the database, each asking again as soon as it is answered. */
function needing(node: ServerProcess, emails: readonly string[], token: string, clients: number) {
  const answers: Answer[] = []
  let stopped = false

  async function askAgainAndAgain(index: number): Promise<void> {
    while (!stopped) {
      const asked = performance.now()
      const email = emails[index]
      const { status, json } =
        email === undefined
          ? await request(node.url, '/account', { token })
          : await request(node.url, '/auth/login', { body: { email, password: PASSWORD } })
      const now = performance.now()
      answers.push({ at: now, isLogin: email !== undefined, status, code: json.code, took: now - asked })
      await sleep(10)
    }
  }

  const asking = Promise.all(Array.from({ length: clients }, (_, index) => askAgainAndAgain(index)))
  return {
    answers,
    since: (moment: number) => answers.filter((answer) => answer.at >= moment),
    async stop(): Promise<readonly Answer[]> {
      stopped = true
      await asking
      return answers
    },
  }
}

interface Fault {
  readonly begin: () => Promise<unknown>
  readonly end: () => unknown
  /** Milliseconds between the two. */
  readonly lasts: number
  readonly clients: number
}

/** Lets a fault happen under load. What is promised of every one of them is asserted here. */
async function suffer(t: Test, node: ServerProcess, name: string, fault: Fault): Promise<void> {
  // Some log in, each to an account of their own: that needs the slow hash too.
  const emails = Array.from({ length: LOGINS }, () => `${crypto.randomUUID()}@example.com`)
  const [token = ''] = await Promise.all(emails.map((email) => signUp(node.url, email)))
  const stopMe = await bystander(t, node, '/me', token)
  const stopLivez = await bystander(t, node, '/livez', token)
  const clients = needing(node, emails, token, fault.clients)
  await poll('some answers', () => clients.answers.length > 50)

  const begun = performance.now()
  await fault.begin()
  await sleep(fault.lasts)
  await fault.end()
  const ended = performance.now()
  const recovered = await poll(
    'the first answers after it',
    () => clients.since(ended).filter(({ status }) => status === 200)[9]?.at,
    30_000,
  )
  await poll('the node to be ready', async () => (await request(node.url, '/readyz')).status === 200)
  await sleep(500)
  const answers = await clients.stop()
  const [me, livez] = [await stopMe(), await stopLivez()]

  const refused = answers.filter(({ status }) => status !== 200)
  const tookOf = (some: readonly Answer[]) => some.map((answer) => answer.took).sort((a, b) => a - b)
  const took = tookOf(refused.filter(({ isLogin }) => !isLogin))
  const logins = tookOf(refused.filter(({ isLogin }) => isLogin))
  const last = refused.at(-1)?.at ?? ended
  t.comment(
    `${name}: ${answers.length} asked, ${refused.length} refused, the first ${Math.round((refused[0]?.at ?? 0) - begun)} ms ` +
      `after it began, each within ${at(took, 1)} ms (median ${at(took, 0.5)}; logins ${at(logins, 1)}); served again ` +
      `${Math.round(recovered - ended)} ms after it ended, the last refused ${Math.round(last - ended)} ms after`,
  )
  t.comment('beside it /me', me, '/livez', livez)
  t.ok(refused.length > 0, 'it was felt')
  const codes = new Set(refused.map(({ status, code }) => `${status} ${code}`))
  // A queue of slow hashes that can't be worked off is refused as such.
  codes.delete('503 overloaded')
  t.strictSame([...codes], ['503 database_unavailable'])
  t.ok(at(took, 1) < IN_TIME, `refused within ${at(took, 1)} ms`)
  t.notOk(at(logins, 1) > LOGIN_IN_TIME, `logins within ${at(logins, 1)} ms`)
  t.ok(recovered - ended < RECOVERED, `recovered after ${recovered - ended} ms`)
  t.equal(me.failed + livez.failed, 0, 'who needs no database is served')
  t.ok(me.p99 < BESIDE && livez.p99 < BESIDE, `p99 ${me.p99} and ${livez.p99} ms`)
  t.equal(node.child.exitCode, null, 'it is the same process')
}

async function start(t: Test): Promise<{ postgres: PostgresServer; node: ServerProcess }> {
  const postgres = await startPostgres()
  t.teardown(() => postgres.destroy())
  return { postgres, node: await startServer(t, { env: { JWT_SECRET: SECRET, DATABASE_URL: postgres.url } }) }
}

t.test('PostgreSQL is killed, stopped, restarted', async (t) => {
  const { postgres, node } = await start(t)
  await suffer(t, node, 'PostgreSQL killed for 3 s', {
    begin: () => postgres.kill(),
    end: () => postgres.start(),
    lasts: 3_000,
    clients: 30,
  })

  let resume = () => {}
  t.teardown(() => resume())
  await suffer(t, node, 'PostgreSQL stopped (SIGSTOP) for 5 s', {
    begin: async () => {
      resume = await postgres.freeze()
    },
    end: () => resume(),
    lasts: 5_000,
    clients: 30,
  })

  await suffer(t, node, 'PostgreSQL restarted (fast shutdown)', {
    // SIGINT: https://www.postgresql.org/docs/current/server-shutdown.html
    begin: async () => process.kill(postgres.pid(), 'SIGINT'),
    end: () => postgres.start(),
    lasts: 500,
    clients: 30,
  })
})

t.test('every connection of the pool is held', async (t) => {
  const { postgres, node } = await start(t)
  const other = await startServer(t, { env: { JWT_SECRET: SECRET, DATABASE_URL: postgres.url } })
  const holder = new pg.Client({ connectionString: postgres.url })
  await holder.connect()
  t.teardown(() => holder.end())
  const delays: number[] = []

  await suffer(t, node, 'the pool exhausted for 8 s', {
    begin: async () => {
      await holder.query('begin; lock table accounts in access exclusive mode')
      // Who logs out elsewhere meanwhile has to be refused here all the same.
      await sleep(2_000)
      for (let each = 0; each < 3; each++) {
        const token = handMade(goodHeader, { ...goodClaims(Date.now()), sid: crypto.randomUUID() })
        const headers = { authorization: `Bearer ${token}` }
        const logOut = await fetch(`${other.url}/auth/logout`, { method: 'POST', headers })
        if (logOut.status !== 204) t.fail(`the log-out elsewhere answered ${logOut.status}`)
        const since = performance.now()
        await poll(
          'the refusal here',
          async () => (await request(node.url, '/me', { token })).status === 401,
          30_000,
        )
        delays.push(Math.round(performance.now() - since))
      }
    },
    end: () => holder.query('rollback'),
    lasts: 4_000,
    clients: 200,
  })
  t.comment(`log-outs elsewhere were known here after ${delays.join(', ')} ms, with the pool exhausted`)
  t.ok(Math.max(...delays) < 1_000, 'within a second, as ever')
})
