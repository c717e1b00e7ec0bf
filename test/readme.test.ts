import t from 'tap'
import { variableNames } from '../src/config.ts'
import { request } from './helpers/client.ts'
import { freePort } from './helpers/free-port.ts'
import { type Block, clone, readPage, run, start, testPage } from './helpers/pages.ts'
import { startServer } from './helpers/process.ts'

testPage(t, 'README.md', {
  async 'Two commands'(t, blocks) {
    const port = await freePort()
    const surroundings = { folder: clone(t), env: { PORT: String(port) } }
    await start(t, blocks[0] as Block, surroundings, (printed) => printed.includes(`:${port}`))
    t.equal((await request(`http://localhost:${port}`, '/readyz')).status, 200)
  },

  async 'From sign-up to signed out'(t, blocks) {
    const server = await startServer(t)
    t.ok(blocks.filter(({ kind }) => kind === 'json').length >= 4, 'the page prints answers')
    await run(t, blocks, { folder: server.folder, replaced: { 'http://localhost:3000': server.url } })
  },

  async 'The command line'(t, blocks) {
    const { folder } = await startServer(t)
    t.match(await run(t, blocks, { folder }), / serve .* sign-out /s)
  },
})

t.test('the configuration table lists every variable', async (t) => {
  const [, table = ''] = readPage('README.md').split(/^## Configuration$/m)
  const cells = table.split(/^## /m)[0]?.matchAll(/^\| (`.*?`) \|/gm) ?? []
  const listed = [...cells].flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)])
  t.same(listed.map(([, name]) => name).sort(), [...variableNames].sort())
})
