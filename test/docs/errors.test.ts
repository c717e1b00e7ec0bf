import t from 'tap'
import { problemKinds } from '../../src/problem.ts'
import { withTable } from '../helpers/docs-tables.ts'
import { blocksOf, readPage, run, testPage } from '../helpers/pages.ts'
import { startServer } from '../helpers/process.ts'

const PAGE = 'docs/errors.md'

testPage(t, PAGE, {
  // What stands before the first heading.
  async ''(t) {
    const { folder, url } = await startServer(t)
    await run(t, blocksOf(PAGE), { folder, replaced: { 'http://localhost:3000': url } })
  },
})

t.test('the codes are those of src/problem.ts: `npm run docs:tables` writes them', async (t) => {
  const page = readPage(PAGE)
  t.equal(page, withTable(PAGE))
  for (const code of Object.keys(problemKinds)) t.match(page, `| \`${code}\` |`)
})
