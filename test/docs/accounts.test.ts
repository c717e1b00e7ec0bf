import t from 'tap'
import { blocksOf, run, signedIn, testPage } from '../helpers/pages.ts'
import { startServer } from '../helpers/process.ts'

const PAGE = 'docs/accounts.md'

// The page is one path from the first section to the last.
testPage(t, PAGE, {
  async 'An operator'(t) {
    const { folder, url } = await startServer(t)
    const replaced = { 'http://localhost:3000': url }
    const stdout = await run(t, blocksOf(PAGE), { folder, before: signedIn, replaced })
    t.match(stdout, / ada@example\.com .* user +disabled /, 'the list names her')
    t.match(stdout, / ada@example\.com .* clerk,user /, 'she has another role')
    t.match(stdout, /^revocations:read$/m, 'the service has its scope')
    t.match(stdout, / account_disabled .* login .* signup /s, 'the trail')
  },
})
