import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { startPostgres as startEmbedded } from '../../test/helpers/postgres.ts'
import { isThere, LOAD_CORE, pin } from './cores.ts'
import { family, isAlive } from './proc.ts'
import { atExit, freePort, start } from './process.ts'

/** A store outside of the servers, on the core of the load. */
export interface Store {
  readonly url: string
  readonly pid: number
  stop(): Promise<void>
}

export interface PostgresStore extends Store {
  /** An empty database. @returns its URL */
  createDatabase(): Promise<string>
}

/**
 * A real PostgreSQL with its settings as they come (fsync and synchronous_commit on).
 *
 * @param flags further arguments of the server, such as `-c shared_buffers=1GB`
 */
export async function startPostgres(flags: readonly string[] = []): Promise<PostgresStore> {
  const server = await startEmbedded(flags)
  const pid = server.pid()
  const remove = atExit(() => quit(pid))
  pin(family(pid), LOAD_CORE)
  return {
    url: server.url,
    pid,
    async createDatabase() {
      const name = `bench_${randomUUID().replaceAll('-', '')}`
      const client = new pg.Client({ connectionString: server.url })
      await client.connect()
      await client.query(`create database ${name}`)
      await client.end()
      return new URL(`/${name}`, server.url).href
    },
    async stop() {
      await server.destroy()
      remove()
    },
  }
}

/** A Redis that keeps everything in memory, or undefined where there is no redis-server on the PATH. */
export async function startRedis(): Promise<Store | undefined> {
  if (!isThere('redis-server')) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-bench-'))
  const port = await freePort()
  const settings = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir: folder }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const server = start('redis-server', { args, core: LOAD_CORE })
  async function stop(): Promise<void> {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await server.ready(() => listens(port))
  } catch (error) {
    await stop()
    throw error
  }
  return { url: `redis://127.0.0.1:${port}`, pid: server.pid, stop }
}

// PostgreSQL's immediate shutdown, which takes its other processes along.
function quit(pid: number): void {
  const end = Date.now() + 2_000
  process.kill(pid, 'SIGQUIT')
  while (isAlive(pid) && Date.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
