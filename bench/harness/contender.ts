import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { SERVER_CORE } from './cores.ts'
import { freePort, start } from './process.ts'

export type HeaderSet = Readonly<Record<string, string>>

export interface ContenderOptions {
  /** How many different credentials it makes; one unless it is given. */
  readonly credentials?: number
  /** The store it asks, where it has one outside of its process. */
  readonly storeUrl?: string | undefined
  /** The core of the server under test, unless another is given. */
  readonly core?: number
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Contender {
  readonly name: string
  readonly url: string
  readonly pid: number
  readonly method: string
  readonly path: string
  /** With each of them the request is let in. */
  readonly headers: readonly HeaderSet[]
  /** Milliseconds from its start until it listened and had its credentials. */
  readonly startMs: number
  /** The line by which it said that it is ready. */
  readonly announced: Readonly<Record<string, unknown>>
  stop(): Promise<void>
}

/**
 * Starts a server of bench/contenders.
 *
 * @param name its file's, without .ts
 * @throws an Error with what it wrote to stderr, if it doesn't get ready
 */
export async function startContender(name: string, options: ContenderOptions = {}): Promise<Contender> {
  const { credentials = 1, storeUrl, core = SERVER_CORE, flags = [], env = {} } = options
  const port = await freePort()
  const begun = performance.now()
  const server = start(process.execPath, {
    args: [...flags, fileURLToPath(new URL(`../contenders/${name}.ts`, import.meta.url))],
    env: {
      NODE_ENV: 'production',
      PORT: String(port),
      SECRET: randomBytes(32).toString('base64url'),
      CREDENTIALS: String(credentials),
      ...(storeUrl !== undefined && { STORE_URL: storeUrl }),
      ...env,
    },
    core,
  })
  try {
    const announced = JSON.parse(await server.line((line) => line.startsWith('{"method":')))
    const { method, path, headers } = announced
    return {
      name,
      url: `http://127.0.0.1:${port}`,
      pid: server.pid,
      method,
      path,
      headers,
      startMs: performance.now() - begun,
      announced,
      stop: server.stop,
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}
