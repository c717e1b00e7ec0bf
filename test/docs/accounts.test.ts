import t from 'tap'
import { commandsOf, run, signedIn, testPage } from '../helpers/pages.ts'
import { startServer } from '../helpers/process.ts'

const PAGE = 'docs/accounts.md'

async function surroundings(t: Parameters<typeof startServer>[0], before = signedIn) {
  const { folder, url } = await startServer(t)
  return { folder, before, replaced: { 'http://localhost:3000': url } }
}

testPage(t, PAGE, {
  async 'An operator'(t, blocks) {
    await run(t, blocks, await surroundings(t, ''))
  },

  async 'Sign somebody out'(t, blocks) {
    const before = signedIn + commandsOf(PAGE, 'An operator')
    const stdout = await run(t, blocks, await surroundings(t, before))
    t.match(stdout.split('\n').at(-2), /ada@example\.com .* disabled /, 'the list names her')
  },

  async 'Roles and scopes'(t, blocks) {
    t.match(await run(t, blocks, await surroundings(t)), /ada@example\.com .* clerk,user /)
  },

  async 'Service accounts'(t, blocks) {
    t.match(await run(t, blocks, await surroundings(t)), /^revocations:read$/m)
  },

  async 'What happened'(t, blocks) {
    t.match(await run(t, blocks, await surroundings(t)), / login .* signup /s, 'the trail tells what she did')
  },
})
