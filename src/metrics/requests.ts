import type { FastifyInstance, FastifyReply, onErrorHookHandler, onSendHookHandler } from 'fastify'
import { toProblem } from '../http/errors.ts'
import { type ProblemCode, problemKinds } from '../problem.ts'

/** Upper bounds in seconds: from what is decided from memory to what waits for argon2 and the database. */
export const DURATION_BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10]

/** The route of what no route took, whatever the path was. */
const UNKNOWN = 'unknown'

/** The methods that are told apart where no route took the request. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const OTHER_METHOD = 'other'

/** What one route has answered to one method, in plain numbers. */
export interface RouteMeter {
  /** As it was registered, such as /account/sessions/:id: never the URL. */
  readonly route: string
  readonly method: string
  /** The problems that it says it may answer. */
  readonly expected: readonly ProblemCode[]
  /** How many answers, by status. */
  readonly answers: Map<number, number>
  /** How many of them were problems, by code. */
  readonly problems: Map<ProblemCode, number>
  /** How many were in each of DURATION_BUCKETS, and in none of those before it; the last took longer than all. */
  readonly buckets: number[]
  /** How long all of them took together. */
  seconds: number
}

/** Every answer, counted by the route that gave it. */
export interface RequestMeters {
  /** Of every route, and of what no route took. */
  readonly all: Iterable<RouteMeter>
  /** @returns undefined if there is no such route */
  find(method: string, route: string): RouteMeter | undefined
  /** Counts what was answered where there was no route and so no hook: no path, or no HTTP. */
  countUnrouted(method: string, code: ProblemCode): void
}

/**
 * Counts what every route answers that is registered after it: when the answer begins to be sent, so that a stream counts
 * with what its client waited. Each route gets a hook that knows the route's own numbers. To find them anew at every
 * request, or to listen for the end of the answer, would cost many times as much as the counting. How long it took is
 * Fastify's reply.elapsedTime, which there is where Fastify has a logger.
 */
export function meterRequests(app: FastifyInstance): RequestMeters {
  const meters: RouteMeter[] = []
  const find = (method: string, route: string) =>
    meters.find((meter) => meter.method === method && meter.route === route)

  function unrouted(method: string): RouteMeter {
    const name = METHODS.has(method) ? method : OTHER_METHOD
    let meter = find(name, UNKNOWN)
    if (meter === undefined) {
      meter = newMeter(UNKNOWN, name)
      meters.push(meter)
    }
    return meter
  }

  app.addHook('onRequest', (request, reply, done) => {
    if (request.is404) watch(unrouted(request.method), reply)
    done()
  })
  app.addHook('onRoute', (route) => {
    const meter = newMeter(route.url, String(route.method), route.schema?.problems)
    meters.push(meter)
    route.onSend = [...[route.onSend ?? []].flat(), countAnswers(meter)]
    route.onError = [...[route.onError ?? []].flat(), countProblems(meter)]
  })
  app.addHook('onError', (request, _reply, error, done) => {
    if (request.is404) increase(unrouted(request.method).problems, toProblem(error).code)
    done()
  })

  return {
    all: meters,
    find,
    countUnrouted(method, code) {
      const { answers, problems } = unrouted(method)
      increase(answers, problemKinds[code].status)
      increase(problems, code)
    },
  }
}

function watch({ answers }: RouteMeter, { raw }: FastifyReply): void {
  raw.once('finish', () => increase(answers, raw.statusCode))
}

function newMeter(route: string, method: string, expected: readonly ProblemCode[] = []): RouteMeter {
  const buckets = [...DURATION_BUCKETS, Number.POSITIVE_INFINITY].map(() => 0)
  return { route, method, expected, answers: new Map(), problems: new Map(), buckets, seconds: 0 }
}

function countAnswers(meter: RouteMeter): onSendHookHandler {
  const { answers, buckets } = meter
  return (_request, reply, _payload, done) => {
    const seconds = reply.elapsedTime / 1_000
    let bucket = 0
    while (bucket < DURATION_BUCKETS.length && seconds > (DURATION_BUCKETS[bucket] as number)) bucket++
    buckets[bucket] = (buckets[bucket] as number) + 1
    meter.seconds += seconds
    increase(answers, reply.statusCode)
    done()
  }
}

function countProblems({ problems }: RouteMeter): onErrorHookHandler {
  return (_request, _reply, error, done) => {
    increase(problems, toProblem(error).code)
    done()
  }
}

function increase<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
