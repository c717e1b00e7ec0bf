import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { generateSecret, kidOf, parseSecrets } from '../src/tokens/secrets.ts'
import { logIn, signUp } from './helpers/client.ts'
import { emptyDatabase } from './helpers/nodes.ts'
import { PROMPTLY, poll } from './helpers/poll.ts'
import { emptyFolder } from './helpers/process.ts'
import { databases, SECRET } from './helpers/service.ts'
import { connectToWorkers, logged, startWorkers, stop, workersOf } from './helpers/supervised.ts'

for (const kind of databases) {
  t.test(`who logs out with one worker is refused by all within a second, on ${kind}`, async (t) => {
    const env = { JWT_SECRET: SECRET, DATABASE_URL: await emptyDatabase(t, kind) }
    const server = await startWorkers(t, 3, { env })
    const email = `${randomUUID()}@example.com`
    const tokens = [await signUp(server.url, email)]
    while (tokens.length < 3) tokens.push(await logIn(server.url, email))
    const stays = await logIn(server.url, email)
    const connections = await connectToWorkers(t, server, 3)
    for (const [index, told] of connections.entries()) {
      const token = tokens[index] as string
      for (const { send } of connections) t.match(await send('GET', '/me', token), { status: 200 })
      t.match(await told.send('POST', '/auth/logout', token), { status: 204 })
      t.match(
        await told.send('GET', '/me', token),
        { status: 401, code: 'token_revoked' },
        'at once by this one',
      )
      for (const { pid, send } of connections) {
        const isRefused = async () => (await send('GET', '/me', token)).code === 'token_revoked'
        await poll(`worker ${pid} to refuse`, isRefused, PROMPTLY)
        t.match(await send('GET', '/me', stays), { status: 200 }, 'and nobody else')
      }
    }
    t.strictSame(await stop(server), { code: 0, signal: null })
  })
}

t.test('every worker takes up a secret that was changed, by itself and at SIGHUP', async (t) => {
  const [older, newer] = [generateSecret(), generateSecret()]
  const folder = emptyFolder(t)
  const path = join(folder, 'secret')
  writeFileSync(path, older)
  const server = await startWorkers(t, 2, { folder, env: { JWT_SECRET_FILE: path } })
  const pids = workersOf(server)
  const told = (event: string) => logged(server).filter((line) => line.event === event)
  const both = (event: string) =>
    poll(`${event} of both`, () => pids.every((pid) => told(event).some((line) => line.pid === pid)))

  server.child.kill('SIGHUP')
  await both('secrets_unchanged')
  t.equal(told('secrets_unchanged').length, 2)

  const list = `${older},${newer}`
  writeFileSync(path, list)
  await both('secrets_reloaded')
  const kids = parseSecrets(list).map(kidOf)
  for (const line of told('secrets_reloaded')) t.match(line, { kids })

  // As a terminal does it, or an operator who takes one for the service.
  const [one] = pids as [number]
  process.kill(one, 'SIGHUP')
  const again = () => told('secrets_unchanged').filter(({ pid }) => pid === one)
  await poll('another look', () => again().length === 2)
  t.equal(told('secrets_unchanged').length, 3)
  const token = await signUp(server.url, 'ada@example.com')
  for (const { send } of await connectToWorkers(t, server, 2)) {
    t.match(await send('GET', '/me', token), { status: 200 })
  }
  t.strictSame(await stop(server), { code: 0, signal: null })
})

t.test('a secret in the environment stays what it is, in every worker', async (t) => {
  const server = await startWorkers(t, 2, { env: { JWT_SECRET: SECRET } })
  server.child.kill('SIGHUP')
  const told = () => logged(server).filter(({ event }) => event === 'secrets_unchanged')
  await poll('both to say so', () => told().length === 2)
  t.strictSame(await stop(server), { code: 0, signal: null })
})
