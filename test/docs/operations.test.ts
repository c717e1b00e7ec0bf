import t from 'tap'
import { request } from '../helpers/client.ts'
import { freePort } from '../helpers/free-port.ts'
import { type Block, clone, run, signedIn, start, testPage } from '../helpers/pages.ts'
import { startServer } from '../helpers/process.ts'

async function surroundings(t: Parameters<typeof startServer>[0]) {
  const { folder, url } = await startServer(t)
  return { folder, before: signedIn, replaced: { 'http://localhost:3000': url } }
}

testPage(t, 'docs/operations.md', {
  async 'In production'(t, blocks) {
    const port = await freePort()
    const folder = clone(t)
    const env = { PORT: String(port), DATABASE_URL: 'file:latchkey.db' }
    await start(t, blocks[0] as Block, { folder, env }, (printed) => printed.includes(`:${port}`))
    t.equal((await request(`http://localhost:${port}`, '/readyz')).status, 200)
  },

  async 'The audit trail'(t, blocks) {
    t.match(await run(t, blocks, await surroundings(t)), / login .* signup /s)
  },

  async 'Who is held back'(t, blocks) {
    await run(t, blocks, await surroundings(t))
  },
})
