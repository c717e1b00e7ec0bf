// Run by `npm run test:faults`: a node that is stopped for half a minute and wakes up.
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { openConnection } from '../helpers/client.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { type ServerProcess, startServer } from '../helpers/process.ts'
import { parseResponses } from '../helpers/raw-http.ts'
import { databases, SECRET } from '../helpers/service.ts'

const ASLEEP = 30_000
const STALE_AFTER = '5s'

/** What a node answered from the moment it woke. */
interface Waking {
  /** Answers to what was sent while it slept, in their order. */
  readonly queued: readonly number[]
  /** How many requests with an ended session's token it still let in, those that were queued included. */
  readonly letIn: number
  /** Milliseconds until it refused for good what had ended meanwhile. */
  readonly refusedAfter: number
  /** Milliseconds until it let in a live session again. */
  readonly servedAfter: number
}

const newToken = () => handMade(goodHeader, { ...goodClaims(Date.now()), sid: randomUUID() })

async function wake(t: Test, node: ServerProcess, ended: string, live: string): Promise<Waking> {
  const get = (token: string) => `GET /me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`
  // The kernel takes both while the node sleeps: they are the first that it sees.
  const [toBeRefused, toBeServed] = [await openConnection(t, node.url), await openConnection(t, node.url)]
  toBeRefused.send(get(ended).repeat(3))
  toBeServed.send(get(live))
  await sleep(100)
  const awake = performance.now()
  node.child.kill('SIGCONT')

  const statuses: number[] = []
  let servedAfter = Number.NaN
  async function askWith(
    connection: typeof toBeRefused,
    token: string,
    first: number,
    isDone: (status: number) => boolean,
  ) {
    for (let asked = first; ; asked++) {
      if (asked > first) connection.send(get(token))
      const count = asked
      const responses = await poll('an answer', () => {
        const all = parseResponses(connection.received())
        return all.length >= count && all
      })
      const { status } = responses.at(-1) as { status: number }
      if (isDone(status)) return responses.map((response) => response.status)
    }
  }
  const [refusals] = await Promise.all([
    askWith(toBeRefused, ended, 3, (status) => status === 401),
    askWith(toBeServed, live, 1, (status) => status === 200).then(() => {
      servedAfter = Math.round(performance.now() - awake)
    }),
  ])
  statuses.push(...refusals)
  return {
    queued: statuses.slice(0, 3),
    letIn: statuses.filter((status) => status === 200).length,
    refusedAfter: Math.round(performance.now() - awake),
    servedAfter,
  }
}

async function logOut({ url }: ServerProcess, token: string): Promise<number> {
  const reply = await fetch(`${url}/auth/logout`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  })
  return reply.status
}

t.jobs = 2

for (const kind of databases) {
  t.test(`a node sleeps for 30 s and wakes, on ${kind}`, { buffered: true }, async (t) => {
    const env = { JWT_SECRET: SECRET, DATABASE_URL: await emptyDatabase(t, kind) }
    const awake = await startServer(t, { env })
    const lenient = await startServer(t, { env })
    const strict = await startServer(t, { env: { ...env, REVOCATION_MAX_STALENESS: STALE_AFTER } })
    const [ended, live] = [newToken(), newToken()]
    for (const node of [awake, lenient, strict]) {
      for (const token of [ended, live]) {
        const me = await fetch(`${node.url}/me`, { headers: { authorization: `Bearer ${token}` } })
        t.equal(me.status, 200, 'and is remembered')
      }
    }

    for (const { child } of [lenient, strict]) child.kill('SIGSTOP')
    t.teardown(() => {
      for (const { child } of [lenient, strict]) child.kill('SIGCONT')
    })
    await sleep(ASLEEP / 2)
    t.equal(await logOut(awake, ended), 204)
    await sleep(ASLEEP / 2)

    const results = {
      [`REVOCATION_MAX_STALENESS=${STALE_AFTER}`]: await wake(t, strict, ended, live),
      'without REVOCATION_MAX_STALENESS': await wake(t, lenient, ended, live),
    }
    for (const [name, { queued, letIn, refusedAfter, servedAfter }] of Object.entries(results)) {
      t.comment(
        `${kind}, ${name}: to what was sent while it slept it answered ${queued.join(', ')}; it let in ${letIn} with the ` +
          `ended session, refused it after ${refusedAfter} ms and served a live one after ${servedAfter} ms`,
      )
      t.ok(refusedAfter < 2_500 && servedAfter < 2_500, 'within a second; the rest is for a busy machine')
    }
    t.equal(results[`REVOCATION_MAX_STALENESS=${STALE_AFTER}`]?.letIn, 0, 'with it, none is ever let in')
    for (const { child } of [lenient, strict]) {
      t.equal(child.exitCode, null)
      child.kill('SIGTERM')
      t.strictSame(await once(child, 'exit'), [0, null])
    }
  })
}
