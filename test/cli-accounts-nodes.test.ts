import t from 'tap'
import { request, signUp } from './helpers/client.ts'
import { emptyDatabase } from './helpers/nodes.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder, startCli, startServer } from './helpers/process.ts'
import { databases, SECRET } from './helpers/service.ts'

const WITHIN = 1_000

for (const kind of databases) {
  t.test(`what an operator does on the command line is in force on a running node, on ${kind}`, async (t) => {
    const env = { DATABASE_URL: await emptyDatabase(t, kind), JWT_SECRET: SECRET }
    const { url, child, ended } = await startServer(t, { env })
    const folder = emptyFolder(t)
    const accounts = async (...args: readonly string[]) => {
      const cli = startCli(t, ['accounts', ...args], { env, folder })
      t.match(await cli.ended(), { code: 0 }, `accounts ${args.join(' ')}: ${cli.stderr()}`)
    }
    const refused = (token: string) =>
      poll(
        'the node to refuse the token',
        async () => {
          const { status, json } = await request(url, '/me', { token })
          return status === 401 && json.code
        },
        WITHIN,
      )

    const ada = await signUp(url, 'ada@example.com')
    t.equal((await request(url, '/me', { token: ada })).status, 200)
    await accounts('disable', 'ada@example.com')
    t.equal(await refused(ada), 'token_revoked', 'disabled')

    const grace = await signUp(url, 'grace@example.com')
    await accounts('roles', 'grace@example.com', 'user', 'admin')
    t.equal(await refused(grace), 'token_stale', 'with other roles')

    const alan = await signUp(url, 'alan@example.com')
    await accounts('sign-out', 'alan@example.com')
    t.equal(await refused(alan), 'token_revoked', 'signed out')

    child.kill('SIGTERM')
    await ended()
  })
}
