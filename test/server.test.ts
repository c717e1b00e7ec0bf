import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openConnection } from './helpers/client.ts'
import { freePort } from './helpers/free-port.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder, startCli } from './helpers/process.ts'
import { SECRET } from './helpers/service.ts'

t.jobs = 2

t.test('it listens once it is ready, and not before', { buffered: true }, async (t) => {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const server = startCli(t, ['serve'], { env: { PORT: String(port) } })
  let refused = 0
  const first = await poll('the first connection', async () => {
    try {
      const { socket, received } = await openConnection(t, url)
      return { socket, received }
    } catch {
      refused++
      return undefined
    }
  })
  t.ok(refused > 0)
  first.socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await poll('an answer', () => first.received() || false), /^HTTP\/1\.1 200 OK\r\n/)
  t.ok(existsSync(join(server.folder, 'data', 'latchkey.db')))

  // The connection is still open, and idle.
  const asked = Date.now()
  server.child.kill('SIGINT')
  t.strictSame(
    await server.ended(),
    { code: 0, signal: null },
    'SIGINT ends it, and an idle connection holds nothing up',
  )
  t.ok(Date.now() - asked < 5_000)
})

// What an operator reads when it doesn't start: one line.
async function failure(t: Test, env: Record<string, string>, folder = emptyFolder(t)) {
  const server = startCli(t, ['serve'], { env: { PORT: '0', LOG_LEVEL: 'warn', ...env }, folder })
  const { code } = await server.ended()
  t.equal(server.stdout(), '')
  return { code, stderr: server.stderr() }
}

t.test('a port that is taken is said in one line', { buffered: true }, async (t) => {
  const other = createServer()
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const { port } = Object(other.address())
  t.strictSame(await failure(t, { PORT: String(port) }), {
    code: 1,
    stderr: `latchkey: HOST and PORT: can't listen on 127.0.0.1:${port} (EADDRINUSE)\n`,
  })
})

t.test('a data folder that cannot be made is said in one line', { buffered: true }, async (t) => {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'data'), 'a file')
  t.strictSame(await failure(t, {}, folder), {
    code: 1,
    stderr: 'latchkey: JWT_SECRET is not set, and no secret can be kept in data/jwt-secret (EEXIST)\n',
  })
  const { code, stderr } = await failure(t, { JWT_SECRET: SECRET }, folder)
  t.equal(code, 1)
  t.match(stderr, /^latchkey: DATABASE_URL: the database can't be opened \(EEXIST: [^\n]*\)\n$/)
})

t.test('a file that is no database is said in one line', { buffered: true }, async (t) => {
  const folder = emptyFolder(t)
  writeFileSync(join(folder, 'notes.txt'), 'Milk, bread, a new key for the front door.\n'.repeat(100))
  t.strictSame(await failure(t, { DATABASE_URL: 'file:notes.txt' }, folder), {
    code: 1,
    stderr: "latchkey: DATABASE_URL: the database can't be opened (file is not a database)\n",
  })
})

t.test(
  'a PostgreSQL that does not answer is said in one line, without the password',
  { buffered: true },
  async (t) => {
    const port = await freePort()
    t.strictSame(
      await failure(t, { DATABASE_URL: `postgres://latchkey:canary@127.0.0.1:${port}/latchkey` }),
      {
        code: 1,
        stderr: `latchkey: DATABASE_URL: the database can't be opened (connect ECONNREFUSED 127.0.0.1:${port})\n`,
      },
    )
  },
)
