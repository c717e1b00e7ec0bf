import { once } from 'node:events'

/** One function as it was called from one place (https://chromedevtools.github.io/devtools-protocol/tot/Profiler/). */
export interface ProfileNode {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  readonly children?: readonly number[]
}

/** What V8 saw on the stack, again and again. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[]
  /** Which node was on top. */
  readonly samples: readonly number[]
  /** Microseconds before each of them. */
  readonly timeDeltas: readonly number[]
}

/** Microseconds from one look at the stack to the next. */
const INTERVAL = 250

/**
 * Looks at what a process does on its main thread while something goes on.
 *
 * @param port where it listens for a debugger: node --inspect=127.0.0.1:port
 */
export async function profile(port: number, work: () => Promise<unknown>): Promise<CpuProfile> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as [
    { webSocketDebuggerUrl: string },
  ]
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  const { promise: failed, reject } = Promise.withResolvers<never>()
  socket.onerror = () => reject(new Error('the connection to the profiler broke'))
  const answers = new Map<number, (result: unknown) => void>()
  socket.onmessage = ({ data }) => {
    const { id, result, error } = JSON.parse(String(data))
    if (error !== undefined) reject(new Error(error.message))
    else answers.get(id)?.(result)
  }
  let ids = 0
  const send = (method: string, params = {}) => {
    const id = ++ids
    const { promise: answer, resolve } = Promise.withResolvers<unknown>()
    answers.set(id, resolve)
    socket.send(JSON.stringify({ id, method, params }))
    return Promise.race([answer, failed])
  }
  try {
    await Promise.race([once(socket, 'open'), failed])
    await send('Profiler.enable')
    await send('Profiler.setSamplingInterval', { interval: INTERVAL })
    await send('Profiler.start')
    await work()
    const { profile: found } = (await send('Profiler.stop')) as { profile: CpuProfile }
    return found
  } finally {
    socket.close()
  }
}
