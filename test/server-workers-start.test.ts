import { createServer } from 'node:net'
import t from 'tap'
import { freePort } from './helpers/free-port.ts'
import { poll } from './helpers/poll.ts'
import { startCli } from './helpers/process.ts'
import { isAlive, workersOf } from './helpers/supervised.ts'

t.test('what keeps it from starting is said once, with the exit code of a single process', async (t) => {
  const port = await freePort()
  const database = startCli(t, ['serve'], {
    env: {
      WORKERS: '3',
      DATABASE_URL: `postgres://latchkey:canary@127.0.0.1:${port}/latchkey`,
      LOG_LEVEL: 'warn',
    },
  })
  t.strictSame(await database.ended(), { code: 1, signal: null })
  t.equal(
    database.stderr(),
    `latchkey: DATABASE_URL: the database can't be opened (connect ECONNREFUSED 127.0.0.1:${port})\n`,
  )
  t.equal(database.stdout(), '')

  const secret = startCli(t, ['serve'], { env: { WORKERS: '3', JWT_SECRET: 'canary' } })
  t.strictSame(await secret.ended(), { code: 78, signal: null })
  t.equal(secret.stderr(), 'latchkey: JWT_SECRET needs at least 32 bytes in each secret\n')

  const other = createServer()
  await new Promise<void>((listening) => other.listen(port, '127.0.0.1', listening))
  t.teardown(() => other.close())
  const listening = startCli(t, ['serve'], { env: { WORKERS: '2', PORT: String(port), LOG_LEVEL: 'warn' } })
  t.strictSame(await listening.ended(), { code: 1, signal: null })
  t.equal(listening.stderr(), `latchkey: HOST and PORT: can't listen on 127.0.0.1:${port} (EADDRINUSE)\n`)
  t.equal(listening.stdout(), '')
})

t.test('a first worker that is killed is said to have been, and nothing is left', async (t) => {
  const server = startCli(t, ['serve'], { env: { WORKERS: '2', PORT: '0' } })
  const pid = await poll('the first worker', () => workersOf(server)[0])
  process.kill(pid, 'SIGKILL')
  t.strictSame(await server.ended(), { code: 1, signal: null })
  t.equal(server.stderr(), 'latchkey: the first worker ended (SIGKILL)\n')
})

t.test('a signal that comes while the workers start ends them all', async (t) => {
  for (const started of [1, 2]) {
    const server = startCli(t, ['serve'], { env: { WORKERS: '3', PORT: '0' } })
    await poll('some workers', () => workersOf(server).length >= started)
    server.child.kill('SIGTERM')
    t.strictSame(await server.ended(), { code: 0, signal: null })
    t.equal(server.stderr(), '')
    await poll('the end of all', () => !workersOf(server).some(isAlive))
  }
})
