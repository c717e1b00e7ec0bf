import t from 'tap'
import { run, signedIn, testPage } from '../helpers/pages.ts'
import { startServer } from '../helpers/process.ts'

testPage(t, 'docs/concepts.md', {
  async Claims(t, blocks) {
    const { folder, url } = await startServer(t)
    await run(t, blocks, { folder, before: signedIn, replaced: { 'http://localhost:3000': url } })
  },
})
