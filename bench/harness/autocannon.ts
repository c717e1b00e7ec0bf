// The process that load-autocannon.ts starts, with the path of its plan.

import { readFileSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'
import autocannon from 'autocannon'
import type { LoadCount, LoadRequest } from './load.ts'

interface Plan {
  readonly url: string
  readonly requests: readonly LoadRequest[]
  readonly sequence: readonly number[]
  readonly start: number
  readonly connections: number
  readonly seconds: number
  readonly allow: readonly number[]
}

const plan: Plan = JSON.parse(readFileSync(process.argv[2] as string, 'utf8'))
const { url, requests, sequence, start, connections, seconds } = plan
const allow = new Set(plan.allow)

let answers = 0
let refused = 0
let failed = 0
// Microseconds: autocannon's own histogram counts whole milliseconds.
const latencies = createHistogram()
let connection = 0

const options: autocannon.Options = {
  url,
  connections,
  duration: seconds,
  timeout: 30,
  // A connection goes through its own part of the sequence: they would all send the same at the same time.
  setupClient(client) {
    const own = sequence.length < connections ? turned(connection) : every(connection)
    connection++
    client.setRequests(own.map((n) => requestOf(requests[n] as LoadRequest)))
  },
}

const begun = performance.now()
// Given a callback it returns an emitter, and no promise.
const { promise, resolve, reject } = Promise.withResolvers<autocannon.Result>()
const cannon = autocannon(options, (error, result) => (error ? reject(error) : resolve(result)))
cannon.on('response', (_client, status, _bytes, milliseconds) => {
  answers++
  latencies.record(Math.max(1, Math.round(milliseconds * 1_000)))
  if (status >= 200 && status <= 299) return
  if (allow.has(status)) refused++
  else failed++
})
const { errors, timeouts } = await promise
const took = (performance.now() - begun) / 1_000
const count: LoadCount = {
  requests: answers,
  seconds: took,
  refused,
  failed,
  errors: errors + timeouts,
  p50: latencies.percentile(50) / 1_000,
  p99: latencies.percentile(99) / 1_000,
}
console.log(JSON.stringify(count))

function every(n: number): number[] {
  const own: number[] = []
  for (let at = n; at < sequence.length; at += connections) {
    own.push(sequence[(start + at) % sequence.length] as number)
  }
  return own
}

function turned(n: number): number[] {
  return sequence.map((_, at) => sequence[(start + n + at) % sequence.length] as number)
}

function requestOf({ method = 'GET', path, headers, body }: LoadRequest): autocannon.Request {
  return {
    method: method as NonNullable<autocannon.Request['method']>,
    path,
    ...(headers && { headers: { ...headers } }),
    ...(body !== undefined && { body }),
  }
}
