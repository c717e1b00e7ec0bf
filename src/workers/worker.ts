import cluster, { type Worker } from 'node:cluster'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Connections } from '../drain.ts'
import type { ToSupervisor, ToWorker } from './messages.ts'

/** What a worker serves, and what its supervisor sets off in it. */
export interface WorkerParts {
  readonly app: Pick<FastifyInstance, 'server'>
  /** Begins the way out. */
  readonly drain: () => void
  readonly reloadSecrets: () => void
}

/** Connections as the supervisor hands them to this worker, which has no port of its own. */
export function fromSupervisor({ app: { server }, drain, reloadSecrets }: WorkerParts): Connections {
  const worker = cluster.worker as Worker
  const last = Promise.withResolvers<void>()
  let draining = false

  // That the supervisor is gone is told by 'disconnect'.
  const tell = (message: ToSupervisor) => worker.send(message, () => {})

  function take(socket: Socket | undefined, id: number): void {
    tell({ type: 'taken', id })
    // It stood in line behind another one until the supervisor gave it up: its message comes without it.
    if (socket === undefined) return
    // As http.Server has those that it lets in itself: a client may say that it sends no more, and wait.
    socket.allowHalfOpen = true
    server.emit('connection', socket)
  }

  function leave(): void {
    if (!draining) drain()
    draining = true
  }

  worker.on('message', (message: ToWorker, socket) => {
    switch (message.type) {
      case 'connection':
        return take(socket as Socket | undefined, message.id)
      case 'drain':
        return leave()
      case 'last':
        return last.resolve()
      case 'reload':
        return reloadSecrets()
    }
  })

  // It would end the process at once, and what is under way with it.
  worker.exitedAfterDisconnect = true
  worker.on('disconnect', () => {
    last.resolve()
    leave()
  })

  return {
    async open() {
      // Node begins to look after the time-outs of connections when a server listens.
      server.emit('listening')
      tell({ type: 'ready' })
    },
    last() {
      if (!draining) tell({ type: 'leaving' })
      draining = true
      return last.promise
    },
  }
}
