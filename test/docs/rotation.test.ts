import t from 'tap'
import { request, signUp } from '../helpers/client.ts'
import { run, testPage } from '../helpers/pages.ts'
import { poll } from '../helpers/poll.ts'
import { startServer } from '../helpers/process.ts'

async function kidsOf(url: string): Promise<string[]> {
  return Object((await request(url, '/readyz')).json.keys).verifying
}

/** Waits until a node has one secret that isn't the one it had. */
async function replaced(url: string, [before]: readonly string[]): Promise<void> {
  await poll('the old secret to be dropped', async () => {
    const [kid, ...others] = await kidsOf(url)
    return others.length === 0 && kid !== before
  })
}

testPage(t, 'docs/rotation.md', {
  async 'Three steps'(t, blocks) {
    // So that the third step doesn't wait for ten minutes.
    const env = { ACCESS_TOKEN_TTL: '1s' }
    const { folder, url } = await startServer(t, { env })
    const before = await kidsOf(url)
    const [steps, ...look] = blocks
    if (steps === undefined) throw new Error('the page has no steps')
    await run(t, [steps], { folder, env })
    await replaced(url, before)
    await run(t, look, { folder, replaced: { 'http://localhost:3000': url } })
  },

  async 'A secret that has leaked'(t, blocks) {
    const { folder, url } = await startServer(t)
    const before = await kidsOf(url)
    const token = await signUp(url, 'ada@example.com')
    t.equal((await request(url, '/me', { token })).status, 200)
    await run(t, blocks, { folder })
    await replaced(url, before)
    t.match(await request(url, '/me', { token }), { status: 401, json: { code: 'token_invalid' } })
  },

  async 'Services that hold a derived secret'(t, blocks) {
    const { folder } = await startServer(t)
    await run(t, blocks, { folder })
  },
})
