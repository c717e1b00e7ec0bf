import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { withTable } from '../helpers/docs-tables.ts'
import { readPage, run, signedIn, testPage } from '../helpers/pages.ts'
import { startServer } from '../helpers/process.ts'

testPage(t, 'docs/api.md', {
  async Authentication(t, blocks) {
    const { folder, url } = await startServer(t)
    await run(t, blocks, { folder, before: signedIn, replaced: { 'http://localhost:3000': url } })
  },

  async Paging(t, blocks) {
    const { folder, url } = await startServer(t)
    const surroundings = { folder, before: signedIn, replaced: { 'http://localhost:3000': url } }
    const stdout = await run(t, blocks, surroundings)
    const first = JSON.parse(readFileSync(join(folder, 'page.json'), 'utf8'))
    const second = JSON.parse(stdout.split('---begin---\n')[1] ?? '')
    t.match([first.events, second.events], [[{ event: 'login' }], [{ event: 'signup' }]])
    t.equal(second.next_cursor, null)
  },
})

t.test('the endpoints are those of openapi.yaml: `npm run docs:tables` writes them', async (t) => {
  t.equal(readPage('docs/api.md'), withTable('docs/api.md'))
})
