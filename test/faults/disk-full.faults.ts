// Run by `npm run test:faults`: the disk is full, and has room again. Where file systems may be mounted it is a small
// tmpfs, for SQLite and for PostgreSQL; where not, it is a limit on the size of the files that the node may write (Linux).
import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { at, bystander } from '../helpers/bystander.ts'
import { request } from '../helpers/client.ts'
import { openAsNode } from '../helpers/nodes.ts'
import { poll } from '../helpers/poll.ts'
import { startPostgres } from '../helpers/postgres.ts'
import { emptyFolder, type ServerProcess, startServer } from '../helpers/process.ts'
import { PASSWORD, SECRET } from '../helpers/service.ts'

const FULL_FOR = 3_000

/** Mounts a small file system. @returns where; undefined where that is not allowed */
function mountSmall(t: Test, megabytes: number): string | undefined {
  const above = emptyFolder(t)
  const folder = join(above, 'small')
  mkdirSync(folder)
  // PostgreSQL, which runs as another user than root, has to get there.
  chmodSync(above, 0o755)
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder])
  if (status !== 0) return undefined
  t.teardown(() => spawnSync('umount', ['-l', folder]))
  chmodSync(folder, 0o777)
  return folder
}

/** What makes a disk full, and what makes room again. */
interface Disk {
  fill(): void
  free(): void
}

/** @param left bytes that stay free: it is then in the middle of something that the disk ends */
function diskOf(folder: string, left: number): Disk {
  const filler = join(folder, 'filler')
  return {
    fill() {
      const { bavail, bsize } = statfsSync(folder)
      writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - left), 1))
    },
    free: () => rmSync(filler),
  }
}

/** What holds of a node whose disk is full. */
async function holdsOut(t: Test, name: string, node: ServerProcess, url: string, disk: Disk): Promise<void> {
  const begin = await request(node.url, '/auth/signup', {
    body: { email: 'ada@example.com', password: PASSWORD },
  })
  const tokens = Object(begin.json.tokens)
  let made = 1
  const stopMe = await bystander(t, node, '/me', tokens.access_token)
  const refused: number[] = []
  const codes = new Set<string>()
  let readyz = 0

  disk.fill()
  const filled = performance.now()
  let firstRefused = Number.NaN
  const isOver = () => performance.now() - filled > FULL_FOR
  const sentence = 'x'.repeat(100)
  const writer = async (index: number) => {
    for (let count = 0; !isOver(); count++) {
      const asked = performance.now()
      const email = `user-${index}-${count}@example.com`
      const { status, json } = await request(node.url, '/auth/signup', {
        body: { email, password: PASSWORD, name: sentence },
      })
      if (status === 201) {
        made++
        continue
      }
      if (Number.isNaN(firstRefused)) firstRefused = performance.now() - filled
      refused.push(performance.now() - asked)
      codes.add(`${status} ${json.code}`)
      await sleep(20)
    }
  }
  await Promise.all([0, 1, 2].map(writer))
  const refresh = () => request(node.url, '/auth/refresh', { body: { refresh_token: tokens.refresh_token } })
  const refusedRefresh = await refresh()
  readyz = (await request(node.url, '/readyz')).status

  disk.free()
  const freed = performance.now()
  await poll('a sign-up', async () => {
    const { status } = await request(node.url, '/auth/signup', {
      body: { email: `${crypto.randomUUID()}@example.com`, password: PASSWORD },
    })
    if (status === 201) made++
    return status === 201
  })
  const recovered = performance.now() - freed
  const me = await stopMe()
  refused.sort((a, b) => a - b)
  t.comment(
    `${name}: ${made} sign-ups answered, ${refused.length} refused (${[...codes].join(', ')}) within ${at(refused, 1)} ms, the first after ` +
      `${Math.round(firstRefused)} ms; /readyz ${readyz}, a refresh ${refusedRefresh.status}; written again ${Math.round(recovered)} ms after there was room`,
  )
  t.comment('beside it /me', me)
  t.strictSame(
    [...codes].filter((code) => code !== '503 overloaded'),
    ['503 database_unavailable'],
  )
  t.ok(at(refused, 1) < 2_500)
  t.equal(me.failed, 0)
  t.ok(recovered < 5_000)
  t.equal((await refresh()).status, 200, 'the refresh token that could not be rotated is good')

  // What is there is whole, and it is what was answered.
  const { db } = await openAsNode(t, url)
  const accounts = await db.selectFrom('accounts').select('id').execute()
  const sessions = await db.selectFrom('sessions').select('account_id').execute()
  const events = await db.selectFrom('audit_events').select('subject').where('event', '=', 'signup').execute()
  const ids = accounts.map(({ id }) => id).sort()
  t.equal(ids.length, made)
  t.strictSame(sessions.map(({ account_id }) => account_id).sort(), ids)
  t.strictSame(events.map(({ subject }) => subject).sort(), ids, 'with its audit event each')
}

t.test('SQLite on a disk that is full', async (t) => {
  const folder = mountSmall(t, 16)
  if (folder === undefined) return t.comment('no file system may be mounted here')
  const url = `file:${join(folder, 'latchkey.db')}`
  const node = await startServer(t, { env: { JWT_SECRET: SECRET, DATABASE_URL: url } })
  await holdsOut(t, 'SQLite on a full tmpfs', node, url, diskOf(folder, 65_536))
})

t.test('SQLite with a quota', async (t) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) return t.comment('there is no prlimit here')
  const url = `file:${join(emptyFolder(t), 'latchkey.db')}`
  // Node.js ignores SIGXFSZ, so that a write beyond the limit fails with EFBIG.
  const env = { JWT_SECRET: SECRET, DATABASE_URL: url }
  const node = await startServer(t, { env })
  const limit = (size: string) =>
    execFileSync('prlimit', ['--pid', String(node.child.pid), `--fsize=${size}:unlimited`])
  // The log is longer than that from the start.
  const disk = { fill: () => void limit('262144'), free: () => void limit('unlimited') }
  await holdsOut(t, 'SQLite with a quota', node, url, disk)
})

t.test('PostgreSQL on a disk that is full', async (t) => {
  const folder = mountSmall(t, 48)
  if (folder === undefined) return t.comment('no file system may be mounted here')
  const postgres = await startPostgres()
  t.teardown(() => postgres.destroy())
  const client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  t.teardown(() => client.end())
  const place = join(folder, 'tablespace')
  mkdirSync(place)
  // PostgreSQL runs as a user of its own.
  const { uid, gid } = statSync(`/proc/${postgres.pid()}`)
  chownSync(place, uid, gid)
  await client.query(`create tablespace small location '${place}'`)
  await client.query('create database latchkey tablespace small')
  await client.end()
  const url = new URL(postgres.url)
  url.pathname = '/latchkey'
  const node = await startServer(t, { env: { JWT_SECRET: SECRET, DATABASE_URL: url.href } })
  await holdsOut(t, 'PostgreSQL on a full tmpfs', node, url.href, diskOf(folder, 0))
})
