import { isDeepStrictEqual } from 'node:util'
import { type Contender, startContender } from '../harness/contender.ts'
import {
  bearer,
  type Latchkey,
  mintTokens,
  productionEnv,
  productionFlags,
  ROOT,
  startLatchkey,
} from '../harness/latchkey.ts'
import type { LoadRequest } from '../harness/load.ts'
import { withCleanup } from '../harness/process.ts'
import {
  measureRounds,
  type Round,
  type Rounds,
  ratios,
  roundsOf,
  summary,
  type Target,
  target,
} from '../harness/rounds.ts'
import { measured, zipf } from '../harness/stats.ts'
import { startPostgres, startRedis } from '../harness/stores.ts'
import type { Ratio, Row, RunOptions, Suite } from '../harness/types.ts'

/** Every contender by what kind of answer it is. Of those that ask a store, which. */
const contenders = {
  'node-http': { kind: 'unguarded' },
  fastify: { kind: 'unguarded' },
  'fastify-jwt': { kind: 'JWT' },
  'fastify-jwt-cache': { kind: 'JWT' },
  'fastify-jose': { kind: 'JWT' },
  'nestjs-jwt': { kind: 'JWT' },
  'express-jsonwebtoken': { kind: 'JWT' },
  'express-passport-jwt': { kind: 'JWT' },
  'session-memory': { kind: 'session' },
  'session-sqlite': { kind: 'session' },
  'session-redis': { kind: 'session', store: 'redis' },
  'session-postgres': { kind: 'session', store: 'postgres' },
  'session-postgres-pipeline': { kind: 'session', store: 'postgres' },
  'better-auth': { kind: 'session' },
  'better-auth-cookie-cache': { kind: 'session' },
  'oidc-introspection': { kind: 'introspection' },
  'basic-fast-hash': { kind: 'credentials' },
  'basic-argon2': { kind: 'credentials' },
} as const satisfies Record<string, { readonly kind: string; readonly store?: 'redis' | 'postgres' }>
type Peer = keyof typeof contenders

/** What is measured of Latchkey itself. */
const own = {
  open: 'latchkey, unguarded route',
  beside: 'latchkey, hot, same process',
  hot: 'latchkey, hot token',
  zipf: 'latchkey, 10,000 tokens (zipf)',
  fresh: 'latchkey, every token new',
} as const

/** As many tokens as Latchkey remembers (src/tokens/token-memory.ts). */
const IN_PLAY = 10_000

/** So many that each is forgotten long before its turn comes again. */
const FRESH = 4 * IN_PLAY

const SEQUENCE = 200_000

/** Accounts that the tokens belong to. */
const MEMBERS = 10

/** Part 2: what it costs to let a request in, against what else would let it in, or lets everything in. */
export const run: Suite = (options) =>
  withCleanup(async (defer) => {
    const notes: string[] = []
    const storeUrls = await startStores(defer, notes)

    const latchkey = await startLatchkey({ database: 'sqlite' })
    defer(latchkey.stop)
    const ours = await ownTargets(latchkey)
    const unguarded = await startContender('latchkey-unguarded', {
      flags: productionFlags,
      env: productionEnv,
    })
    defer(unguarded.stop)
    const body = await replyOf(unguarded)

    const peers: Target[] = []
    for (const [name, { kind, ...peer }] of Object.entries(contenders)) {
      const storeUrl = 'store' in peer ? await storeUrls[peer.store]() : undefined
      if ('store' in peer && storeUrl === undefined) continue
      try {
        const contender = await startContender(name, { storeUrl })
        defer(contender.stop)
        checkReply(name, await replyOf(contender), body)
        peers.push(target(name, contender.pid, { url: contender.url, requests: [requestOf(contender)] }))
      } catch (error) {
        notes.push(`${name} (${kind}) is left out: ${reasonOf(error as Error)}`)
      }
    }

    const { url, pid } = unguarded
    const { headers } = requestOf(unguarded)
    const beside = { path: String(unguarded.announced.guardedPath), ...(headers && { headers }) }
    const pair = [
      target(own.open, pid, { url, requests: [requestOf(unguarded)] }),
      target(own.beside, pid, { url, requests: [beside] }),
    ]
    const rounds = await measureRounds([pair, ours.hot, ours.zipf, ours.fresh, ...peers], options)

    notes.push(...(await memoryNotes(latchkey, ours, options)))
    return {
      suite: 'guarded',
      title: 'A guarded route: GET /me, 32 connections, the server on one core',
      columns: ['kind', 'requests/s', 'CPU µs/request', 'p50 ms', 'p99 ms', 'core used'],
      rows: [...rounds].map(([name, list]) => rowOf(name, list)),
      ratios: ratiosOf(rounds),
      notes,
    }
  })

type Defer = (cleanUp: () => Promise<unknown>) => void

/** Where each store is, or undefined where it can't be had. Contenders with PostgreSQL get a database each. */
async function startStores(defer: Defer, notes: string[]) {
  const redis = await startRedis()
  if (redis === undefined) notes.push('session-redis is left out: there is no redis-server on the PATH')
  else defer(redis.stop)
  const postgres = await startPostgres()
  defer(postgres.stop)
  return { redis: async () => redis?.url, postgres: postgres.createDatabase }
}

async function ownTargets(latchkey: Latchkey) {
  const { url, pid, secret } = latchkey
  const tokens: string[] = []
  for (let n = 0; n < MEMBERS; n++) {
    const { accountId } = await latchkey.signUp()
    tokens.push(...(await mintTokens(secret, { accountId }, (FRESH + IN_PLAY) / MEMBERS)))
  }
  const requests = tokens.map((token) => ({ path: '/me', headers: bearer(token) }))
  const [fresh, inPlay] = [requests.slice(0, FRESH), requests.slice(FRESH)]
  const token = await latchkey.accessToken()
  // The rarest first, so that they are the first to be forgotten.
  const everyOne = target('', pid, { url, requests: inPlay.toReversed() })
  return {
    hot: target(own.hot, pid, { url, requests: [{ path: '/me', headers: bearer(token) }] }),
    zipf: {
      ...target(own.zipf, pid, { url, requests: inPlay, sequence: zipf(IN_PLAY, SEQUENCE) }),
      // What other loads made it forget in the meantime.
      async prepare() {
        for (let sent = 0; sent < IN_PLAY; ) sent += (await everyOne.load(1)).requests
      },
    },
    fresh: target(own.fresh, pid, { url, requests: fresh }),
  }
}

/** Whether tokens were remembered as each load means it, by what the service counts. */
async function memoryNotes(
  { tokenLookups }: Latchkey,
  { zipf, fresh }: Awaited<ReturnType<typeof ownTargets>>,
  { seconds }: RunOptions,
): Promise<string[]> {
  async function hitsOf({ load }: Target): Promise<number> {
    const before = await tokenLookups()
    await load(seconds)
    const after = await tokenLookups()
    const hits = after.hits - before.hits
    return hits / (hits + after.misses - before.misses)
  }
  const ofFresh = await hitsOf(fresh)
  if (ofFresh > 0) throw new Error(`${own.fresh}: ${ofFresh * 100} % were remembered`)
  await zipf.prepare()
  const ofZipf = await hitsOf(zipf)
  return [
    `Found in the memory of tokens: ${(ofZipf * 100).toFixed(2)} % with 10,000 in play, none with every token new.`,
    '"core used" is how much of its core a server used: below 0.95 something else was the limit, such as a store ' +
      'or the load on the other core, and the CPU time tells more than the requests.',
  ]
}

// The one line that says it, without where this machine keeps what.
function reasonOf({ message }: Error): string {
  const lines = message.split('\n')
  const line = lines.find((each) => /^\s*(\w+ )?\w*Error\b/.test(each)) ?? lines[0] ?? ''
  return line.trim().replaceAll(ROOT, '')
}

function requestOf({ method, path, headers }: Contender): LoadRequest {
  return { method, path, ...(headers[0] && { headers: headers[0] }) }
}

async function replyOf(contender: Contender): Promise<object> {
  const { method = 'GET', path, headers = {} } = requestOf(contender)
  const response = await fetch(contender.url + path, { method, headers })
  if (!response.ok) throw new Error(`it answered ${response.status}`)
  return (await response.json()) as object
}

function checkReply(name: string, reply: object, wanted: object): void {
  const names = (body: object) => Object.keys(body).toSorted()
  if (!isDeepStrictEqual(names(reply), names(wanted))) throw new Error(`${name} answers something else`)
}

function rowOf(name: string, rounds: readonly Round[]): Row {
  const kind = name in contenders ? contenders[name as Peer].kind : 'Latchkey'
  return {
    name,
    values: {
      kind: name === own.open ? 'unguarded' : kind,
      'requests/s': summary(rounds, 'rps'),
      'CPU µs/request': summary(rounds, 'cpuMicroseconds'),
      'p50 ms': summary(rounds, 'p50'),
      'p99 ms': summary(rounds, 'p99'),
      'core used': measured(rounds.map(({ rps, cpuMicroseconds }) => (rps * cpuMicroseconds) / 1e6)),
    },
  }
}

// Each by requests per second with its goal, and by CPU time without one. Turned round, so that more is better in both.
// Beside a peer stands what a bare route that lets in everybody would be: more than that no guard can be.
function ratiosOf(rounds: Rounds): Ratio[] {
  const postgres = fasterOf(rounds, ['session-postgres', 'session-postgres-pipeline'])
  const pairs: readonly [name: string, one: string, other: string | undefined, atLeast: number][] = [
    ['hot / own unguarded', own.beside, own.open, 0.9],
    ['hot / fastify', own.hot, 'fastify', 0.8],
    ['new / fastify', own.fresh, 'fastify', 0.5],
    ['hot / session-redis', own.hot, 'session-redis', 1.3],
    ['hot / session-postgres', own.hot, postgres, 3],
    ['hot / fastify-jwt', own.hot, 'fastify-jwt', 3],
    ['hot / express-jsonwebtoken', own.hot, 'express-jsonwebtoken', 7],
    ['hot / better-auth', own.hot, 'better-auth', 25],
  ]
  return pairs.flatMap(([name, one, other, atLeast]) => {
    if (other === undefined || !rounds.has(other)) return []
    const [a, b] = [roundsOf(rounds, one), roundsOf(rounds, other)]
    const found: Ratio[] = [
      { name, value: ratios(a, b, 'rps'), goal: { atLeast } },
      { name: `${name}, by CPU`, value: ratios(b, a, 'cpuMicroseconds') },
    ]
    if (other === 'fastify' || other === own.open) return found
    return [
      ...found,
      {
        name: name.replace(/^hot/, 'bare fastify'),
        value: ratios(roundsOf(rounds, 'fastify'), b, 'rps'),
      },
    ]
  })
}

function fasterOf(rounds: Rounds, names: readonly string[]): string | undefined {
  const rps = (name: string) => summary(roundsOf(rounds, name), 'rps').median
  return names
    .filter((name) => rounds.has(name))
    .toSorted((one, other) => rps(other) - rps(one))
    .at(0)
}
