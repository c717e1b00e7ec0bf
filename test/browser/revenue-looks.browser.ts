import type { Browser } from 'playwright-core'
import t from 'tap'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import {
  ANTON,
  createAccount,
  heading,
  judge,
  press,
  type Revenue,
  signIn,
  startRevenue,
  VERA,
} from '../helpers/revenue.ts'

// It asks whether there is a session; and Latchkey, which shares its cores with the browser, may have too much to do.
const isAnswer = /status of (401|503) .*\/auth\/\w+\)$/

let browser: Browser
let revenue: Revenue
t.before(async () => {
  browser = await launchBrowser(t)
  revenue = await startRevenue(t)
})

t.test('every view fits a phone, suits axe in light and dark, and asks nobody else', async (t) => {
  const { page, requests, faults } = await openPage(t, browser)
  await page.goto(revenue.url)
  await heading(page, 'Sign in').waitFor()
  await judge(t, page, 'sign in')
  await press(page, 'Sign in')
  await page.getByText('Enter your password.').waitFor()
  await judge(t, page, 'sign in with faults')
  await page.getByRole('link', { name: 'Create an account' }).click()
  await heading(page, 'Create an account').waitFor()
  await judge(t, page, 'create an account')

  await createAccount(page, revenue, 'Grace')
  await heading(page, 'You’re in, but there is nothing to see yet').waitFor()
  await judge(t, page, 'no role')
  await page.getByRole('link', { name: 'Sessions' }).click()
  await page.getByRole('listitem').waitFor()
  await judge(t, page, 'sessions')
  await press(page, 'Sign out')
  await page.getByText('You are signed out.').waitFor()
  await judge(t, page, 'signed out')

  for (const [person, last] of [
    [VERA, 'By product'],
    [ANTON, 'Deals in progress'],
  ] as const) {
    await signIn(page, revenue, person)
    await heading(page, last).waitFor()
    await judge(t, page, last)
    await press(page, 'Sign out')
    await page.getByText('You are signed out.').waitFor()
  }
  t.strictSame(
    requests.filter((url) => ![revenue.url, revenue.latchkey].includes(new URL(url).origin)),
    [],
    'nothing is asked of others',
  )
  t.strictSame(
    faults.filter((fault) => !isAnswer.test(fault)),
    [],
    'no error and no violation',
  )
})
