import { isThere, LOAD_CORE } from './cores.ts'
import { loadByAutocannon } from './load-autocannon.ts'
import { loadByWrk } from './load-wrk.ts'

/** Connections that a load keeps, unless others are asked for. */
export const CONNECTIONS = 32

/** One request as it is sent. */
export interface LoadRequest {
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface LoadOptions {
  /** http://host:port */
  readonly url: string
  /** What is sent: one request again and again, or many in turn. */
  readonly requests: readonly LoadRequest[]
  /** Which of the requests comes when, by its index, if not one after the other; it starts again at its end. */
  readonly sequence?: ArrayLike<number>
  /** Where in the sequence (or the requests) to begin: `next` of the result before. */
  readonly start?: number
  readonly connections?: number
  /** Whole seconds. */
  readonly seconds: number
  readonly core?: number
  /** Statuses that are no failure, beside 2xx; answers with them are counted in `refused`. */
  readonly allow?: readonly number[]
}

export interface LoadResult {
  /** Answers, of whatever status. */
  readonly requests: number
  /** How long it was at it. */
  readonly seconds: number
  /** Answers of an allowed status that is not 2xx. */
  readonly refused: number
  /** Latencies in milliseconds. */
  readonly p50: number
  readonly p99: number
  /** Where the next load takes the sequence up: behind everything that was sent. */
  readonly next: number
}

/** What a load generator is given, and what it counts. */
export type LoadPlan = Required<Omit<LoadOptions, 'allow'>> & { readonly allow: ReadonlySet<number> }
export interface LoadCount extends Omit<LoadResult, 'next'> {
  /** Answers of any other status. */
  readonly failed: number
  /** Requests that were never answered. */
  readonly errors: number
}

/** Which load generator is used. */
export const generator = isThere('wrk') ? 'wrk' : 'autocannon'

/**
 * Sends requests over kept connections, each as soon as the one before it is answered.
 *
 * @throws an Error if an answer has a status that isn't allowed, if one is missing, or if there is none at all
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { requests, sequence = requests.map((_, n) => n), start = 0, connections = CONNECTIONS } = options
  const plan = {
    ...{ url: options.url, requests, sequence, connections, seconds: options.seconds },
    start: start % sequence.length,
    core: options.core ?? LOAD_CORE,
    allow: new Set(options.allow),
  }
  const count = await (generator === 'wrk' ? loadByWrk : loadByAutocannon)(plan)
  const { failed, errors, ...result } = count
  const [{ method = 'GET', path }] = requests as [LoadRequest]
  if (failed > 0 || errors > 0 || result.requests === 0) {
    const counts = `${failed} of ${result.requests} answers failed, ${errors} requests had no answer`
    throw new Error(`${method} ${path}: ${counts}`)
  }
  return { ...result, next: (plan.start + result.requests + connections) % sequence.length }
}
