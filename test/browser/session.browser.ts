import type { Browser } from 'playwright-core'
import t from 'tap'
import { graveFaults, type Keeping, known, signUp, startSite, watchRefreshes } from '../helpers/bare-page.ts'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import { poll } from '../helpers/poll.ts'

const EMAIL = 'ada@example.com'
const IN = `Signed in as ${EMAIL}`
const OUT = 'Nobody is signed in'

// Most of the time they wait.
t.jobs = 2
const BESIDE = { buffered: true }

let browser: Browser
t.before(async () => {
  browser = await launchBrowser(t)
})

t.test(
  'who signed up is still in after a reload, and in another tab, where the session is kept',
  BESIDE,
  async (t) => {
    const site = await startSite(t)
    const kept = { localStorage: [IN, IN], cookie: [IN, IN], sessionStorage: [IN, OUT], memory: [OUT, OUT] }
    for (const [keeping, expected] of Object.entries(kept)) {
      const { page, faults } = await openPage(t, browser)
      await site.open(page, keeping as keyof typeof kept)
      faults.length = 0
      const email = `${keeping.toLowerCase()}@example.com`
      await signUp(page, email)
      await page.reload()
      const [reloaded, other] = [await known(page), await page.context().newPage()]
      await site.open(other, keeping as keyof typeof kept)
      const seen = [reloaded, await known(other)].map((text) => text.replace(email, EMAIL))
      t.strictSame(seen, expected, keeping)
      t.strictSame(graveFaults(faults), [], keeping)
    }
  },
)

t.test('no script finds the refresh token of cookie mode', BESIDE, async (t) => {
  const site = await startSite(t)
  const { page } = await openPage(t, browser)
  await site.open(page, 'cookie')
  await signUp(page, EMAIL)
  const found = await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]')
  t.strictSame(found, ['', 0, 0])
  t.match(await page.context().cookies(site.latchkey), [
    { name: '__Host-latchkey', value: /^lkr_/, httpOnly: true, secure: true, sameSite: 'Strict' },
  ])
})

t.test('nobody notices that tokens expire while the page is open', BESIDE, async (t) => {
  const site = await startSite(t, { ACCESS_TOKEN_TTL: '3s' })
  await inEach(async (keeping, email) => {
    const { page, faults } = await openPage(t, browser)
    await site.open(page, keeping)
    await signUp(page, email)
    const refreshes = watchRefreshes(page.context())
    faults.length = 0
    // Somebody who does something all the time, then nothing until the token is of no use, then something again.
    const seen = new Set<string>()
    await poll('two expiries', async () => seen.add((await page.evaluate(me)).jti).size === 3, 30_000)
    const { exp, jti } = await page.evaluate(me)
    seen.add(jti)
    await poll('the end of the token', () => Date.now() > exp * 1_000)
    seen.add((await page.evaluate(me)).jti)
    const expiries = seen.size - 1
    t.strictSame(refreshes, Array(expiries).fill(200), keeping)
    t.strictSame(await page.evaluate(() => events), ['signed_in', ...Array(expiries).fill('refreshed')])
    t.equal(await page.getByRole('status').textContent(), `Signed in as ${email}`)
    t.strictSame(graveFaults(faults), [], `nothing was refused (${keeping})`)
  })
})

t.test('while Latchkey is down nobody is signed out', BESIDE, async (t) => {
  const site = await startSite(t, { ACCESS_TOKEN_TTL: '2s' })
  // One page stays open, another is loaded anew meanwhile.
  const pages = await inEach(async (keeping, email) => {
    const [{ page: open }, { page: reloaded }] = [await openPage(t, browser), await openPage(t, browser)]
    for (const [i, page] of [open, reloaded].entries()) {
      await site.open(page, keeping)
      await signUp(page, `${i}-${email}`)
    }
    return { keeping, email, open, reloaded, before: await open.evaluate(me) }
  })
  site.server.child.kill('SIGKILL')
  await site.server.ended()
  const end = Math.max(...pages.map(({ before }) => before.exp)) * 1_000
  await poll('the end of the tokens', () => Date.now() > end)

  await each(pages, async ({ keeping, email, open, reloaded }) => {
    await Promise.all([
      open.evaluate(me).then(
        () => t.fail('it answers'),
        (error) => t.match(error.message, 'network_error'),
      ),
      reloaded.reload(),
    ])
    t.equal(await open.getByRole('status').textContent(), `Signed in as 0-${email}`, keeping)
    t.equal(await known(reloaded), 'Not known: network_error', keeping)
  })
  await site.again()
  await each(pages, async ({ keeping, email, open, reloaded, before }) => {
    const goesOn = async () => (await open.evaluate(sidOrCode)) === before.sid
    await poll(`the same session to go on (${keeping})`, goesOn, 30_000)
    t.notMatch(await open.evaluate(() => events.join()), 'signed_out')
    await reloaded.reload()
    t.equal(await known(reloaded), `Signed in as 1-${email}`, keeping)
  })
})

/** Does the same by both ways at once, each with an address of its own. */
function inEach<Result>(run: (keeping: Keeping, email: string) => Promise<Result>): Promise<Result[]> {
  return each(['localStorage', 'cookie'] as const, (keeping) =>
    run(keeping, `${keeping.toLowerCase()}@example.com`),
  )
}

function each<Item, Result>(items: readonly Item[], run: (item: Item) => Promise<Result>): Promise<Result[]> {
  return Promise.all(items.map(run))
}

const me = () => latchkey.me()
const sidOrCode = () =>
  latchkey.me().then(
    ({ sid }) => sid,
    ({ code }) => String(code),
  )
