import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signUp } from '../helpers/client.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { run, testPage } from '../helpers/pages.ts'
import { emptyFolder, startServer } from '../helpers/process.ts'

testPage(t, 'docs/postgresql.md', {
  async 'Use one'(t, blocks) {
    const env = { DATABASE_URL: await emptyDatabase(t, 'postgres') }
    t.match(await run(t, blocks, { folder: emptyFolder(t), env }), 'The database is up to date.')
    const { url } = await startServer(t, { env })
    await signUp(url, 'ada@example.com')
  },

  async 'With Docker'(t, blocks) {
    const folder = emptyFolder(t)
    await run(t, blocks, { folder })
    t.equal(statSync(join(folder, 'secrets')).mode & 0o777, 0o700)
    // Without Docker: a node takes what was made.
    const JWT_SECRET_FILE = join(folder, 'secrets', 'jwt-secret')
    await startServer(t, { env: { JWT_SECRET_FILE, NODE_ENV: 'production', DATABASE_URL: 'file:l.db' } })
  },
})
