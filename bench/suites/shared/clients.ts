/**
 * Clients that no load generator of the shelf can play: each request is another one, and a refresh needs what the last
 * one gave. A process of its own, on another core than the server.
 */

import { setTimeout } from 'node:timers/promises'
import { Pool } from 'undici'
import { answerJobs } from '../../baselines/shared/jobs.ts'
import { type Done, percentiles, repeat } from '../../baselines/shared/loop.ts'

export interface Request {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly body?: object
}

/** One request at a regular rate, whatever else is under way. */
export interface Beside {
  readonly request: Request
  /** In a second. */
  readonly rate: number
}

/** What is sent by these clients again and again; it is given once, and known by its name from then on. */
export interface Script {
  readonly name: string
  readonly origin: string
  /** Sent in turn; or refresh tokens, each of which is used for the next one of its session. */
  readonly requests: readonly Request[] | { readonly refreshTokens: readonly string[] } | 'sign-ups'
  /** Whether each request is sent once before anything is measured, so that every token in them is remembered. */
  readonly sentBefore?: boolean
}

export interface ClientsJob {
  readonly script: string
  readonly clients: number
  readonly seconds: number
  readonly beside?: Beside
}

export interface ClientsDone extends Done {
  readonly beside?: Pick<Done, 'p50' | 'p99'>
}

interface Playing {
  readonly pool: Pool
  readonly next: (client: number, clients: number) => Promise<void>
}

const known = new Map<string, Playing>()

answerJobs<Script | ClientsJob, ClientsDone | undefined>(async (job) => {
  if ('name' in job) {
    const pool = new Pool(job.origin, { connections: 64, pipelining: 1, keepAliveTimeout: 60_000 })
    known.set(job.name, { pool, next: nextOf(job, pool) })
    if (job.sentBefore && Array.isArray(job.requests)) {
      for (const request of job.requests) await send(pool, request)
    }
    return undefined
  }
  const { script, clients, seconds, beside } = job
  const playing = known.get(script)
  if (playing === undefined) throw new Error(`there is no script ${script}`)
  const [done, times] = await Promise.all([
    repeat({ workers: clients, seconds }, (client) => playing.next(client, clients)),
    beside && sendRegularly(playing.pool, beside, seconds),
  ])
  return { ...done, ...(times && { beside: percentiles(times) }) }
})

function nextOf({ requests }: Script, pool: Pool): Playing['next'] {
  if (requests === 'sign-ups') return signUps(pool)
  if ('refreshTokens' in requests) return refreshes(pool, [...requests.refreshTokens])
  let turn = 0
  return async () => {
    await send(pool, requests[turn++ % requests.length] as Request)
  }
}

// A client has sessions of its own, and uses one after the other: none is refreshed by two at once.
function refreshes(pool: Pool, tokens: string[]): Playing['next'] {
  const turns: number[] = []
  return async (client, clients) => {
    const turn = turns[client] ?? client
    turns[client] = turn + clients < tokens.length ? turn + clients : client
    const body = { refresh_token: tokens[turn] }
    const answer = await send(pool, { method: 'POST', path: '/auth/refresh', body })
    tokens[turn] = (JSON.parse(answer) as { refresh_token: string }).refresh_token
  }
}

function signUps(pool: Pool): Playing['next'] {
  return async () => {
    const email = `${crypto.randomUUID()}@example.com`
    const body = { email, password: 'a long walk by the river', name: 'Ada' }
    await send(pool, { method: 'POST', path: '/auth/signup', body })
  }
}

/** @returns the milliseconds that each took */
async function sendRegularly(pool: Pool, { request, rate }: Beside, seconds: number): Promise<number[]> {
  const startedAt = performance.now()
  const sent: Promise<number>[] = []
  for (let n = 0; n < seconds * rate; n++) {
    const wait = startedAt + (n * 1_000) / rate - performance.now()
    if (wait > 0) await setTimeout(wait)
    const sentAt = performance.now()
    const took = send(pool, request).then(() => performance.now() - sentAt)
    // It is heard of below; until then it must not end the process.
    took.catch(() => {})
    sent.push(took)
  }
  return Promise.all(sent)
}

async function send(pool: Pool, { method, path, headers, body }: Request): Promise<string> {
  const reply = await pool.request({
    method,
    path,
    headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  })
  const text = await reply.body.text()
  if (reply.statusCode < 200 || reply.statusCode > 299) {
    throw new Error(`${method} ${path} was answered with ${reply.statusCode}: ${text}`)
  }
  return text
}
