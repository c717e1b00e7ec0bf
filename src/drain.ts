import type { Server, Socket } from 'node:net'
import { setImmediate, setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

// Milliseconds from the signal. Together the process is gone within 10 s of it.
const CUT_AFTER = 8_000
export const GIVE_UP_AFTER = 9_500

// Milliseconds from the signal to closing. Who has connected is heard, and a load balancer can see it in /readyz.
const PAUSE = 500

// Milliseconds in which the port finds a moment to close in which nobody comes; and how short such a moment is.
const LONGEST_CLOSING = 5_000
const MOMENT = 0.1

// How often, while draining, connections are closed whose last request was answered; and how long one is kept that never
// sent a byte.
const LOOK_FOR_IDLE_EVERY = 50
const LONGEST_SILENCE = 1_000

/** Where connections come from. */
export interface Connections {
  /** Lets them come. @throws an Error with a `code` where that can't be */
  open(): Promise<void>
  /** Waits, on the way out, until no more come. */
  last(): Promise<void>
}

/**
 * Makes app.close() answer whatever was let in: it closes a connection once its last request was answered, and at last
 * one that never sent a byte, which Node leaves open.
 *
 * @param last waits until no more connections come
 */
export function closeGently(app: FastifyInstance, last: Connections['last']): void {
  const { server } = app
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.addHook('preClose', async () => {
    // A client that is too slow by then won't be waited for.
    void setTimeout(CUT_AFTER, undefined, { ref: false }).then(() => server.closeAllConnections())
    await last()
    for (const begun = performance.now(); sockets.size > 0; ) {
      await setTimeout(LOOK_FOR_IDLE_EVERY)
      // What has arrived by now is read first.
      await setImmediate()
      server.closeIdleConnections()
      if (performance.now() - begun < LONGEST_SILENCE) continue
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy()
    }
  })
}

/**
 * Closes a port, after the pause in which everybody can learn that it will be closed.
 *
 * Node lets in one connection per turn of its event loop, and the kernel resets those that still stand in line as a port
 * closes. So it closes right after a turn that found nobody there, and that took so little time that hardly anybody can
 * have come since.
 */
export async function closePort(server: Server): Promise<void> {
  let nobody = false
  server.on('connection', () => {
    nobody = false
  })
  await setTimeout(PAUSE)
  for (const end = performance.now() + LONGEST_CLOSING; !nobody && performance.now() < end; ) {
    const begun = performance.now()
    nobody = true
    await setImmediate()
    nobody &&= performance.now() - begun < MOMENT
  }
  server.close()
}
