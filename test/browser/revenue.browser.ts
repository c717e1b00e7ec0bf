import type { Browser } from 'playwright-core'
import t from 'tap'
import { graveFaults, watchRefreshes } from '../helpers/bare-page.ts'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import { request } from '../helpers/client.ts'
import { poll } from '../helpers/poll.ts'
import {
  ANTON,
  createAccount,
  heading,
  IDA,
  lookFor,
  press,
  type Revenue,
  signIn,
  startRevenue,
  VERA,
} from '../helpers/revenue.ts'

const TOTALS = ['Weekly revenue', 'By product']
const DEALS = 'Deals in progress'
const NOTHING = 'You’re in, but there is nothing to see yet'

// Most of the time they wait.
t.jobs = 2
const BESIDE = { buffered: true }

let browser: Browser
let revenue: Revenue
t.before(async () => {
  browser = await launchBrowser(t)
  revenue = await startRevenue(t, { ACCESS_TOKEN_TTL: '6s' })
})

t.test('a viewer sees totals but no deals, an analyst sees deals', BESIDE, async (t) => {
  for (const [person, seesDeals] of [
    [VERA, false],
    [ANTON, true],
  ] as const) {
    const { page, requests } = await openPage(t, browser)
    await signIn(page, revenue, person)
    for (const title of TOTALS) await heading(page, title).waitFor()
    t.equal(await heading(page, DEALS).isVisible(), seesDeals)
    t.equal(requests.includes(`${revenue.url}/api/deals`), seesDeals)
    const headers = { authorization: `Bearer ${await tokenOf(person)}` }
    const { status } = await fetch(`${revenue.url}/api/deals`, { headers })
    t.equal(status, seesDeals ? 200 : 403, 'the server sees to it')
  }
})

t.test(
  'who signed up is told what is missing, is still in after a reload, and sees what a role brings',
  BESIDE,
  async (t) => {
    const { page } = await openPage(t, browser)
    const { email } = await createAccount(page, revenue, 'Grace')
    await heading(page, NOTHING).waitFor()
    await page.reload()
    await heading(page, NOTHING).waitFor()
    t.strictSame(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]'), [
      '',
      0,
      0,
    ])

    await revenue.operate('accounts', 'roles', email, 'user', 'analyst')
    await lookFor(page, heading(page, DEALS))
    await revenue.operate('accounts', 'roles', email, 'user', 'viewer')
    await lookFor(page, page.getByText('viewer', { exact: true }))
    for (const title of TOTALS) await heading(page, title).waitFor()
    t.equal(await heading(page, DEALS).isVisible(), false)
  },
)

t.test('nobody notices that tokens expire while the page is open', BESIDE, async (t) => {
  const { page, faults } = await openPage(t, browser)
  const refreshes = watchRefreshes(page.context())
  await signIn(page, revenue, ANTON)
  await heading(page, DEALS).waitFor()
  faults.length = 0
  refreshes.length = 0
  // Whoever looks all the time, and whoever comes back after the token has ended.
  await poll(
    'two refreshes',
    async () => {
      await lookFor(page, heading(page, DEALS))
      return refreshes.length === 2
    },
    30_000,
  )
  const end = Date.now() + 6_000
  await poll('the end of the token', () => Date.now() > end)
  const loaded = page.waitForResponse((response) => response.url().endsWith('/api/deals'))
  await lookFor(page, heading(page, DEALS))
  t.equal((await loaded).status(), 200)
  t.strictSame(refreshes, [200, 200, 200])
  t.equal(await page.getByRole('alert').count(), 0)
  t.strictSame(graveFaults(faults), [])
})

t.test('who signs out in one tab is out in the other', BESIDE, async (t) => {
  const { page } = await openPage(t, browser)
  await signIn(page, revenue, VERA)
  const other = await page.context().newPage()
  await other.goto(revenue.url)
  await heading(other, 'Weekly revenue').waitFor()
  await press(page, 'Sign out')
  for (const tab of [page, other]) {
    await tab.getByText('You are signed out.').waitFor()
    await tab.reload()
    await heading(tab, 'Sign in').waitFor()
  }
  t.strictSame(await page.context().cookies(), [])
})

t.test('whose account an operator disables is signed out, and told why', BESIDE, async (t) => {
  const { page } = await openPage(t, browser)
  const person = await createAccount(page, revenue, 'Edsger')
  await revenue.operate('accounts', 'disable', person.email)
  await lookFor(page, heading(page, 'Sign in'))
  t.match(await page.getByRole('alert').textContent(), 'Your account was disabled')
  await page.getByLabel('Email').fill(person.email)
  await page.getByLabel('Password', { exact: true }).fill(person.password)
  await press(page, 'Sign in')
  t.match(await page.getByRole('alert').textContent(), 'This account is disabled')
  await revenue.operate('accounts', 'enable', person.email)
  await press(page, 'Sign in')
  await heading(page, NOTHING).waitFor()
})

t.test('other sessions can be signed out, and that one goes on', BESIDE, async (t) => {
  const [{ page }, { page: elsewhere }] = [await openPage(t, browser), await openPage(t, browser)]
  const person = await createAccount(page, revenue, 'Barbara')
  await signIn(elsewhere, revenue, person)
  await page.getByRole('link', { name: 'Sessions' }).click()
  await heading(page, 'Sessions').waitFor()
  const sessions = page.getByRole('listitem')
  await poll('both sessions', async () => (await sessions.count()) === 2)
  await press(page, 'Sign out the others')
  await page.getByRole('status').filter({ hasText: '1 other session signed out.' }).waitFor()
  await poll('one to be left', async () => (await sessions.count()) === 1)
  t.match(await sessions.textContent(), 'This one')
  await lookFor(elsewhere, heading(elsewhere, 'Sign in'))
  t.match(await elsewhere.getByRole('alert').textContent(), 'Your session has ended')
  await page.reload()
  await heading(page, 'Sessions').waitFor()
})

t.test('a wrong password is told, and after many how long to wait', BESIDE, async (t) => {
  const { page } = await openPage(t, browser)
  await page.goto(revenue.url)
  const alert = page.getByRole('alert')
  await page.getByLabel('Email').fill(IDA.email)
  await page.getByLabel('Password', { exact: true }).fill('three cups after noon')
  await press(page, 'Sign in')
  t.equal(await alert.textContent(), 'Email or password is wrong.')
  const told = await poll(
    'to be throttled',
    async () => {
      await press(page, 'Sign in')
      const text = String(await alert.textContent())
      return text !== 'Email or password is wrong.' && text
    },
    30_000,
  )
  const wait = Number(/^Too many attempts\. Try again in (\d+) seconds?\.$/.exec(told)?.[1])
  t.ok(wait >= 1 && wait <= 8, told)
  await page.getByLabel('Password', { exact: true }).fill(IDA.password)
  const end = Date.now() + wait * 1_000
  await poll('the end of the wait', () => Date.now() > end)
  await press(page, 'Sign in')
  await heading(page, DEALS).waitFor()
})

/** An access token of somebody, got outside of the browser. */
async function tokenOf({ email, password }: { readonly email: string; readonly password: string }) {
  const reply = await poll('an answer', async () => {
    const { status, json } = await request(revenue.latchkey, '/auth/login', { body: { email, password } })
    return status !== 503 && json
  })
  return String(reply.access_token)
}
