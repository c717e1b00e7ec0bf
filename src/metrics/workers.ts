import type { Worker } from 'node:cluster'
import { setTimeout } from 'node:timers/promises'
import { Registry } from '@prometheus-io/client'
import { Problem } from '../problem.ts'
import { counter, gauge } from './define.ts'
import { share } from './exposition.ts'

/** Milliseconds that a worker has to say its numbers; after that, those it said last are taken. */
const WORKER_PATIENCE = 1_000

/** Milliseconds that the supervisor has to put all of them together. */
const SUPERVISOR_PATIENCE = 3_000

/** The metrics of a worker, as the package gives them in JSON. */
type Numbers = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

/** What goes between a supervisor and its workers. */
type Message =
  | { readonly latchkey: 'numbers_wanted' | 'text_wanted' }
  | { readonly latchkey: 'numbers'; readonly numbers: Numbers }
  | { readonly latchkey: 'text'; readonly text: string }

interface Member {
  readonly worker: Worker
  /** What it said last. */
  numbers: Numbers
  /** Called when it says something, or ends. */
  heard: () => void
}

/** The metrics of all workers as one. */
export interface WorkersMetrics {
  /** Counts a worker in, from when it first says its numbers. */
  add(worker: Worker): void
  /** What GET /metrics answers. */
  text(): Promise<string>
}

/**
 * Puts together what the workers count, in their supervisor. Whatever a worker does or leaves undone, it takes a second
 * at most. The package would do it too, but fails as a whole where one worker is silent; and where one has died its sums
 * fall, which Prometheus takes for counters that began anew, and all that is left in them for an increase. So here what
 * a worker had counted when it was last asked stays in the sums when it ends.
 */
export function gatherWorkers(): WorkersMetrics {
  const members = new Map<number, Member>()
  const departed: Numbers[] = []
  let running = 0
  let deaths = 0

  const own = new Registry()
  gauge(own, { name: 'latchkey_workers', help: 'Workers that run.', aggregator: 'sum' }, () => [[running]])
  const death = {
    name: 'latchkey_worker_deaths_total',
    help: 'Workers that ended by an error or a signal, and not because they were told to.',
  }
  counter(own, death, () => [[deaths]])

  async function ask(member: Member): Promise<void> {
    const heard = new Promise<void>((resolve) => {
      member.heard = resolve
    })
    send(member.worker, { latchkey: 'numbers_wanted' })
    await Promise.race([heard, setTimeout(WORKER_PATIENCE, undefined, { ref: false })])
  }

  const text = share(async () => {
    await Promise.all([...members.values()].map(ask))
    const past = Registry.aggregate(departed.splice(0))
    departed.push(await past.getMetricsAsJSON())
    const present = [...members.values()].map(({ numbers }) => numbers)
    return Registry.aggregate([...departed, await own.getMetricsAsJSON(), ...present]).metrics()
  })

  return {
    add(worker) {
      running++
      worker.on('message', async (message: Message) => {
        if (message.latchkey === 'text_wanted') send(worker, { latchkey: 'text', text: await text() })
        if (message.latchkey !== 'numbers') return
        const member = members.get(worker.id) ?? { worker, numbers: [], heard: () => {} }
        member.numbers = message.numbers
        member.heard()
        members.set(worker.id, member)
      })
      worker.once('exit', (code) => {
        running--
        if (code !== 0) deaths++
        const member = members.get(worker.id)
        if (member === undefined) return
        members.delete(worker.id)
        departed.push(member.numbers.filter(({ type }) => type !== 'gauge'))
        member.heard()
      })
    },
    text,
  }
}

// That nobody is there any more is heard of by the worker's end.
function send(worker: Worker, message: Message): void {
  worker.send(message, () => {})
}

/** The supervisor as its worker sees it: the worker's own process. */
export interface Supervisor {
  send?(message: object, done: (error: Error | null) => void): unknown
  on(event: 'message', listener: (message: Message) => void): unknown
}

/**
 * Says a worker's numbers to its supervisor, at once and whenever they are wanted.
 *
 * @returns what GET /metrics answers: the metrics of all workers
 */
export function followSupervisor(supervisor: Supervisor, registry: Registry): () => Promise<string> {
  let text = Promise.withResolvers<string>()
  const say = (message: Message) => supervisor.send?.(message, () => {})
  const sayNumbers = async () => say({ latchkey: 'numbers', numbers: await registry.getMetricsAsJSON() })

  supervisor.on('message', async (message) => {
    if (message.latchkey === 'numbers_wanted') await sayNumbers()
    if (message.latchkey === 'text') {
      text.resolve(message.text)
      text = Promise.withResolvers()
    }
  })
  void sayNumbers()

  return async () => {
    const received = text.promise
    say({ latchkey: 'text_wanted' })
    const answer = await Promise.race([received, setTimeout(SUPERVISOR_PATIENCE, undefined, { ref: false })])
    if (answer === undefined)
      throw new Problem('overloaded', { cause: new Error('the supervisor is silent') })
    return answer
  }
}
