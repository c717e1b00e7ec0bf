import type { Browser, Page } from 'playwright-core'
import t from 'tap'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import { poll } from '../helpers/poll.ts'
import {
  ANTON,
  heading,
  judge,
  look,
  lookFor,
  type Revenue,
  signIn,
  startRevenue,
} from '../helpers/revenue.ts'

let browser: Browser
let revenue: Revenue
t.before(async () => {
  browser = await launchBrowser(t)
  revenue = await startRevenue(t, { ACCESS_TOKEN_TTL: '10s' })
})

t.test('while Latchkey is down the page goes on as long as it can, and nobody is signed out', async (t) => {
  const [{ page }, { page: reloaded }] = [await openPage(t, browser), await openPage(t, browser)]
  for (const each of [reloaded, page]) {
    await signIn(each, revenue, ANTON)
    await heading(each, 'Deals in progress').waitFor()
  }
  // With a token that is new.
  await page.reload()
  await heading(page, 'Deals in progress').waitFor()
  await revenue.killLatchkey()

  const loaded = page.waitForResponse((response) => response.url().includes('/api/revenue?weeks=26'))
  await page.getByText('26 weeks').click()
  t.equal((await loaded).status(), 200, 'the server lets in who has a token')
  await heading(page, 'Deals in progress').waitFor()

  await reloaded.reload()
  const away = 'The sign-in service (Latchkey) can’t be reached.'
  await alert(reloaded, away).waitFor()
  await heading(reloaded, 'Just a moment').waitFor()
  t.match(await reloaded.getByRole('main').textContent(), 'If you were signed in you still are')
  await lookFor(page, alert(page, away), 60_000)
  t.match(await alert(page, away).textContent(), 'You stay signed in')
  await heading(page, 'Deals in progress').waitFor()
  await judge(t, page, 'an outage')
  await judge(t, reloaded, 'an outage at the start')

  await revenue.again()
  // The one looks by itself, the other one when somebody comes back to it.
  await heading(reloaded, 'Deals in progress').waitFor()
  await poll(
    'the page to go on',
    async () => {
      await look(page)
      return (await page.getByRole('alert').count()) === 0
    },
    30_000,
  )
  await heading(page, 'Deals in progress').waitFor()
})

const alert = (page: Page, text: string) => page.getByRole('alert').filter({ hasText: text })
