import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import type { Test } from 'tap'
import type { ServerProcess } from './process.ts'

/** How a bystander was served. Times are in milliseconds. */
export interface Served {
  readonly requests: number
  /** Answers that were not 200, and connections that broke. */
  readonly failed: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

interface Question {
  readonly url: string
  readonly token: string
}

/**
 * Asks for a path every few milliseconds, one request at a time on a connection that is kept: somebody who does nothing
 * wrong while others do. It has a thread of its own, so that what keeps this one busy isn't measured too.
 *
 * @returns a function that stops it and says how it went
 */
export async function bystander(
  t: Test,
  { url }: Pick<ServerProcess, 'url'>,
  path: string,
  token: string,
): Promise<() => Promise<Served>> {
  const question: Question = { url: url + path, token }
  // tap's hooks have nothing to do there.
  const worker = new Worker(new URL(import.meta.url), { workerData: question, execArgv: [] })
  t.teardown(() => worker.terminate())
  await once(worker, 'message')
  return async () => {
    worker.postMessage('stop')
    const [served] = await once(worker, 'message')
    return served as Served
  }
}

/** The value below which a share of them lies. @param sorted in ascending order */
export function at(sorted: readonly number[], share: number): number {
  return Math.round((sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN) * 10) / 10
}

/** The memory that a process occupies, in MiB (Linux). */
export function residentMemory({ child }: Pick<ServerProcess, 'child'>): number {
  const [, kib] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kib) / 1_024)
}

async function askAgainAndAgain({ url, token }: Question): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  const headers = { authorization: `Bearer ${token}` }
  const times: number[] = []
  let failed = 0
  let stopped = false
  parentPort?.once('message', () => {
    stopped = true
  })

  function ask(): Promise<number> {
    return new Promise((resolve, reject) => {
      get(url, { agent, headers }, (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode ?? 0))
      }).once('error', reject)
    })
  }

  // The first one opens the connection.
  await ask()
  parentPort?.postMessage('started')
  while (!stopped) {
    const asked = performance.now()
    const status = await ask().catch(() => 0)
    times.push(performance.now() - asked)
    if (status !== 200) failed++
    await sleep(2)
  }
  agent.destroy()
  times.sort((a, b) => a - b)
  const served: Served = {
    requests: times.length,
    failed,
    p50: at(times, 0.5),
    p99: at(times, 0.99),
    max: at(times, 1),
  }
  parentPort?.postMessage(served)
}

if (!isMainThread) await askAgainAndAgain(workerData)
