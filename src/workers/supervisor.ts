import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyBaseLogger } from 'fastify'
import { backOff } from '../back-off.ts'
import type { Config } from '../config.ts'
import { closePort, GIVE_UP_AFTER } from '../drain.ts'
import { cannotListen, listen } from '../listen.ts'
import { createMetricsServer } from '../metrics/server.ts'
import { gatherWorkers } from '../metrics/workers.ts'
import { StartError } from '../start-error.ts'
import type { ToSupervisor, ToWorker } from './messages.ts'
import { createRoundRobin } from './round-robin.ts'

// Milliseconds of a worker's life that make up for one failure before.
const REDEEMS = 10_000

// Connections that wait for a worker at most, when none takes any.
const MOST_WAITING = 1_024

/** How a worker ended, as it is logged. */
interface End {
  readonly worker_pid?: number | undefined
  readonly exit_code?: number
  readonly signal?: string
  /** Why it never ran. */
  readonly err?: unknown
}

/** A worker from its start to its end. */
interface Life {
  /** Settles once it can serve, if it ever can. */
  readonly ready: Promise<void>
  readonly ended: Promise<End>
}

/**
 * Keeps as many workers as there should be, has the port, and hands them its connections in turn. This process serves
 * nothing itself.
 *
 * The first worker starts alone: it says once what keeps it from starting, and that ends it all. From then on whoever
 * ends is replaced, for ever. It listens once everybody has started.
 *
 * SIGTERM or SIGINT stops listening, lets all workers finish what was let in, and exits with 0; a second signal exits at
 * once, with everybody. SIGHUP makes all workers read the secrets again.
 *
 * @throws StartError if it can't start
 */
export async function supervise(
  { workers, host, port, metricsPort }: Pick<Config, 'workers' | 'host' | 'port' | 'metricsPort'>,
  logger: FastifyBaseLogger,
): Promise<void> {
  const running = new Map<Worker, 'starting' | 'ready' | 'leaving'>()
  let draining = false
  const connections = createRoundRobin()
  const metrics = gatherWorkers()
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, connections.give)
  server.maxConnections = MOST_WAITING

  async function run(ready: () => void): Promise<End> {
    const worker = cluster.fork()
    const worker_pid = worker.process.pid
    running.set(worker, 'starting')
    metrics.add(worker)
    worker.on('message', (message: ToSupervisor) => {
      switch (message.type) {
        case 'ready':
          running.set(worker, 'ready')
          connections.add(worker)
          return ready()
        case 'taken':
          return connections.taken(worker, message.id)
        case 'leaving':
          running.set(worker, 'leaving')
          connections.remove(worker)
          return tell(worker, { type: 'last' })
      }
    })
    // By then all that it said was heard. 'disconnect' doesn't come where it died with a connection on its way to it.
    worker.process.on('close', () => connections.lose(worker))
    try {
      return await new Promise<End>((resolve, reject) => {
        worker.on('exit', (exit_code: number, signal: string | null) => {
          running.delete(worker)
          resolve(signal === null ? { worker_pid, exit_code } : { worker_pid, signal })
        })
        worker.on('error', reject)
      })
    } finally {
      running.delete(worker)
    }
  }

  function start(): Life {
    const { promise: ready, resolve } = Promise.withResolvers<void>()
    return { ready, ended: run(resolve).catch((err) => ({ err })) }
  }

  async function keep(first: Life): Promise<void> {
    let failures = 0
    let life: Life | undefined = first
    while (life !== undefined) {
      const begun = performance.now()
      const end = await life.ended
      failures = Math.max(0, failures + 1 - Math.floor((performance.now() - begun) / REDEEMS))
      if (!draining) {
        const wait = Math.round(backOff(failures))
        logger.error({ ...end, retry_in_ms: wait }, 'a worker ended')
        await setTimeout(wait)
      }
      life = draining ? undefined : start()
    }
  }

  // Whatever ends this process ends them all.
  const killAll = () => {
    for (const worker of running.keys()) worker.process.kill('SIGKILL')
  }
  process.once('exit', killAll)
  process.on('SIGHUP', () => {
    for (const worker of running.keys()) tell(worker, { type: 'reload' })
  })

  // Before any worker starts: a signal that comes right then is heard.
  const options = { delay: GIVE_UP_AFTER, logger, skip: ['SIGHUP' as const] }
  const { uninstall } = closeWithGrace(options, async ({ signal, err }) => {
    draining = true
    if (err !== undefined) logger.fatal({ err }, 'an error nobody caught')
    else logger.info({ signal, workers: running.size }, 'draining')
    for (const [worker, state] of running) {
      if (state === 'starting') worker.process.kill('SIGKILL')
      else tell(worker, { type: 'drain' })
    }
    await closePort(server)
    await connections.empty()
    for (const worker of running.keys()) tell(worker, { type: 'last' })
    while (running.size > 0) await once(cluster, 'exit')
    logger.info('drained')
  })

  const first = start()
  const end = await Promise.race([first.ready, first.ended])
  if (draining) return
  if (end !== undefined) {
    uninstall()
    // What it couldn't do it has said itself.
    if (end.exit_code === undefined) throw new StartError(`the first worker ended (${end.signal})`)
    process.exitCode = end.exit_code
    return
  }
  const others = Array.from({ length: workers - 1 }, start)
  for (const life of [first, ...others]) void keep(life)
  await Promise.all(others.map(({ ready, ended }) => Promise.race([ready, ended])))
  if (draining) return

  try {
    if (metricsPort !== undefined) {
      const metricsServer = createMetricsServer(metrics, logger)
      await listen(metricsServer, { variable: 'METRICS_PORT', host, port: metricsPort })
    }
    if (!draining) await open()
  } catch (error) {
    uninstall()
    draining = true
    killAll()
    throw error
  }

  async function open(): Promise<void> {
    server.listen({ host, port })
    await once(server, 'listening').catch((error) => {
      throw cannotListen({ variable: 'PORT', host, port }, error)
    })
    const { address, family, port: opened } = server.address() as AddressInfo
    const hostname = family === 'IPv6' ? `[${address}]` : address
    logger.info({ workers }, `Server listening at http://${hostname}:${opened}`)
  }
}

function tell(worker: Worker, message: ToWorker): void {
  // That it is gone is told by its end.
  worker.send(message, () => {})
}
