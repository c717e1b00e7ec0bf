// Run by `npm run test:faults`: kill -9 in every write path. KILLS says how often, on each database: every process that is
// killed serves both (test/helpers/kill-target.ts), and two of them serve each database at a time.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Client, createSite, type Site } from '../helpers/kill-site.ts'
import { createTargets, type Target } from '../helpers/kill-targets.ts'
import { stepsOf } from '../helpers/killed-steps.ts'
import {
  any,
  hasOneHead,
  isErased,
  likeness,
  mustBeRefused,
  type Step,
  send,
  sendInTime,
  storedUser,
  type User,
} from '../helpers/killed-user.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { emptyFolder } from '../helpers/process.ts'
import { type DatabaseName, databases, SECRET, UNTHROTTLED } from '../helpers/service.ts'

const KILLS = Number(process.env.KILLS ?? 500)
const NODES = 2
const USERS_PER_NODE = 3
// How long a round lasts: until so many writes were answered at most, in so many milliseconds at most.
const MOST_ANSWERS = 20
const LONGEST_ROUND = 1_000
/** How many paths `stepsOf` knows. Chance leads to them: after KILLS kills it goes on until each was taken. */
const PATHS = 17
const MOST_KILLS = Math.max(3 * KILLS, 120)

/** What became of a write path. */
interface Tally {
  answered: number
  cut: number
  /** Of those that were cut: done all the same. */
  done: number
}

const tallies: Record<DatabaseName, Record<string, Tally>> = { sqlite: {}, postgres: {} }
const faults: string[] = []
let answers = 0

function tallyOf({ kind }: Site, { path }: Step): Tally {
  tallies[kind][path] ??= { answered: 0, cut: 0, done: 0 }
  return tallies[kind][path]
}

const hasTakenAll = (kind: DatabaseName) =>
  Object.values(tallies[kind]).filter(({ answered, cut }) => answered + cut > 0).length === PATHS

// Mostly a path that was cut less than others: to some it is a long way.
function choose(site: Site, steps: readonly Step[]): Step {
  const cuts = (step: Step) => tallyOf(site, step).cut
  const ordered = Math.random() < 0.25 ? steps : steps.toSorted((a, b) => cuts(a) - cuts(b)).slice(0, 2)
  return any(ordered) as Step
}

/** Does one write after the other until one is not answered, or there is an end. */
async function write(site: Site, client: Client, target: Target, hasEnded: () => boolean): Promise<void> {
  while (!hasEnded()) {
    const step = choose(site, stepsOf(client.user, site.admin))
    const reply = await step.send(target.urls[site.kind], target.agent)
    // What was refused for the moment may be done or not, just as what was cut.
    if (reply === undefined || reply.status === 503) {
      client.cut = step
      if (reply === undefined) return
      if (!(await settle(site, client))) return
      await sleep(50)
      continue
    }
    if (reply.status !== step.status) {
      faults.push(`${site.kind}: ${step.path} answered ${reply.status} ${JSON.stringify(reply.body)}`)
      return
    }
    tallyOf(site, step).answered++
    answers++
    client.erased = erasedBy(client.user, step)
    client.user = step.after(reply, undefined)
  }
}

function erasedBy({ id, events }: User, { path }: Step): Client['erased'] {
  if (path !== 'deletion' || id === undefined) return undefined
  const own = events.filter((event) => event.startsWith('user'))
  return { id, events: [...own, 'user account_deleted'] }
}

/** Finds out whether what was cut is done, wholly, or not at all. @returns whether it is either */
async function settle(site: Site, client: Client): Promise<boolean> {
  const { user, cut } = client
  const stored = (await storedUser(site.db, user)) as User
  if (cut === undefined) {
    if (likeness(stored) === likeness(user)) return true
    faults.push(`${site.kind}: what was answered is not there: ${likeness(user)} but ${likeness(stored)}`)
    return false
  }
  client.cut = undefined
  const tally = tallyOf(site, cut)
  tally.cut++
  if (likeness(stored) === likeness(user)) return true

  const known = new Set(user.sessions.map(({ id }) => id))
  const unknown = stored.sessions.find(({ id }) => !known.has(id))?.id
  const after = { ...cut.after(undefined, unknown), ...(user.id === undefined && { id: stored.id }) }
  const erased = erasedBy(user, cut)
  const isDone =
    erased === undefined
      ? likeness((await storedUser(site.db, after)) as User) === likeness(after)
      : await isErased(site.db, erased.id, erased.events)
  if (!isDone) {
    faults.push(`${site.kind}: ${cut.path} is torn: from ${likeness(user)} to ${likeness(stored)}`)
    return false
  }
  tally.done++
  client.user = after
  return true
}

/** Whoever refreshed and was not answered gets further with the token it has, and its session has one head. */
async function refreshOn(site: Site, client: Client, target: Target): Promise<void> {
  for (const session of client.user.sessions) {
    if (session.refresh !== undefined && !(await hasOneHead(site.db, session))) {
      faults.push(`${site.kind}: a session is forked`)
    }
  }
  const [first] = client.user.sessions.filter(({ refresh }) => refresh !== undefined)
  if (first === undefined || client.user.status === 'disabled') return
  const body = { refresh_token: first.refresh }
  const reply = await sendInTime(target.urls[site.kind], target.agent, { path: '/auth/refresh', body })
  if (reply.status !== 200) {
    faults.push(`${site.kind}: stuck with a refresh token: ${reply.status} ${JSON.stringify(reply.body)}`)
    return
  }
  const { access_token: access, refresh_token: refresh } = Object(reply.body)
  const sessions = client.user.sessions.map((each) =>
    each === first ? { id: first.id, access, refresh } : each,
  )
  client.user = { ...client.user, sessions }
}

/** Every node refuses what has ended, and lets in what has not. A node that has just started does so at once. */
async function isRefused(site: Site, client: Client, nodes: readonly Target[], fresh: readonly Target[]) {
  const { sessions } = client.user
  const refused = client.user.refused.filter((token) => mustBeRefused(client.user, token))
  for (const node of nodes) {
    const statusOf = async (token: string) =>
      (await send(node.urls[site.kind], node.agent, { method: 'GET', path: '/me', token }))?.status
    for (const token of refused) {
      const isOut = async () => (await statusOf(token)) === 401
      if (
        fresh.includes(node) ? !(await isOut()) : !(await poll('a refusal', isOut, 5_000).catch(() => false))
      ) {
        faults.push(
          `${site.kind}: a node lets in what has ended${fresh.includes(node) ? ', after its start' : ''}`,
        )
      }
    }
    for (const { access } of sessions) {
      if (access === undefined || (await statusOf(access)) === 200) continue
      faults.push(`${site.kind}: a node refuses a session that is live`)
    }
  }
  for (const { id } of sessions) {
    const query = site.db.selectFrom('revocations').select('seq').where('session_id', '=', id)
    if ((await query.executeTakeFirst()) !== undefined) {
      faults.push(`${site.kind}: a session is live and revoked`)
    }
  }
  client.user = { ...client.user, refused: [] }
}

t.test('kill -9 in every write path loses nothing, tears nothing and leaves nobody stuck', async (t) => {
  const begun = performance.now()
  const urls = {
    sqlite: await emptyDatabase(t, 'sqlite'),
    postgres: await emptyDatabase(t, 'postgres'),
  }
  const targets = createTargets(t, {
    ...UNTHROTTLED,
    JWT_SECRET: SECRET,
    ACCESS_TOKEN_TTL: '1h',
    ROLES: '{"revocations":["revocations:read"]}',
    SQLITE_URL: urls.sqlite,
    POSTGRES_URL: urls.postgres,
    NODE_COMPILE_CACHE: join(emptyFolder(t), 'cache'),
  })
  targets.add()
  const nodes = [await targets.next()]
  for (let each = 0; each < NODES + 1; each++) targets.add()
  while (nodes.length < NODES) nodes.push(await targets.next())
  const sites = await Promise.all(
    databases.map((kind) => createSite(t, kind, urls[kind], nodes[0] as Target, NODES * USERS_PER_NODE)),
  )
  const everybody = sites.flatMap((site) => site.clients.map((client, index) => ({ site, client, index })))

  let kills = 0
  const goesOn = () => kills < KILLS || (kills < MOST_KILLS && !databases.every(hasTakenAll))
  for (let round = 0; goesOn() && faults.length === 0; round++) {
    let hasEnded = false
    const writing = everybody.map(({ site, client, index }) =>
      write(site, client, nodes[index % NODES] as Target, () => hasEnded),
    )
    const [answersBefore, most] = [answers, Math.random() * MOST_ANSWERS]
    const isLongEnough = () => answers - answersBefore >= most
    await poll('some answers', isLongEnough, LONGEST_ROUND).catch(() => {})
    await sleep(Math.random() * 10)
    // One or the other, or both at once: then nobody has SQLite's file open any more.
    const victims = round % 3 === 2 ? [0, 1] : [round % 3]
    hasEnded = true
    for (const victim of victims) {
      nodes[victim]?.child.kill('SIGKILL')
      kills++
    }
    for (const _ of victims) targets.add()
    await Promise.all(writing)
    await Promise.all(
      victims.map(async (victim) => {
        nodes[victim]?.agent.destroy()
        nodes[victim] = await targets.next()
      }),
    )
    const fresh = victims.map((victim) => nodes[victim] as Target)
    await Promise.all(
      everybody.map(async ({ site, client, index }) => {
        if (!(await settle(site, client))) return
        if (
          client.erased !== undefined &&
          !(await isErased(site.db, client.erased.id, client.erased.events))
        ) {
          faults.push(`${site.kind}: what was deleted is there`)
        }
        client.erased = undefined
        await refreshOn(site, client, nodes[index % NODES] as Target)
        await isRefused(site, client, nodes, fresh)
      }),
    )
  }

  const seconds = (performance.now() - begun) / 1_000
  t.comment(`${kills} kills on each database in ${Math.round(seconds)} s`)
  for (const kind of databases) {
    const lines = Object.entries(tallies[kind]).map(
      ([path, { answered, cut, done }]) => `${path}: ${answered} answered, ${cut} cut (${done} done)`,
    )
    t.comment(`${kind}: ${lines.sort().join('; ')}`)
    for (const [path, { answered, cut }] of Object.entries(tallies[kind])) {
      if (KILLS >= 500) t.ok(answered > 0 && cut > 0, `${kind}: ${path} was under way`)
    }
    t.ok(hasTakenAll(kind), `${kind}: every write path was taken`)
  }
  t.strictSame(faults, [])
  t.ok(kills >= KILLS)
})
