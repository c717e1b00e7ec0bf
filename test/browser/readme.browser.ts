import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import t from 'tap'
import { bundle, servePage } from '../helpers/bare-page.ts'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import { builtPackage, tsc } from '../helpers/built-package.ts'
import { logIn, signUp } from '../helpers/client.ts'
import { startServer } from '../helpers/process.ts'
import { PASSWORD } from '../helpers/service.ts'

const EMAIL = 'ada@example.com'
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const printed = /^## From your own page or app\n.*?^```ts\n(.*?)^```/ms.exec(readme)?.[1] ?? ''

let browser: Browser
t.before(async () => {
  browser = await launchBrowser(t)
})

t.test('what README prints for a page of your own works in one', async (t) => {
  // Whoever copies it brings an address and a password, and a place to show things.
  const before = `
const [email, password]: [string, string] = ['${EMAIL}', '${PASSWORD}']
const show = (text: string) => document.querySelector('p')?.replaceChildren(text)
const showLogin = (reason: string) => show('Sign in again: ' + reason)
`
  const after = `
const { sub } = await report.json()
show(account.email + ', ' + page.events[0]?.event + ', ' + (sub === account.id))
Object.assign(globalThis, { latchkey })
`
  const folder = await builtPackage(t)
  const file = join(folder, 'page.mts')
  writeFileSync(file, before + printed + after)
  const options = '--ignoreConfig --noEmit --strict --module nodenext --target es2022 --lib es2022,dom'.split(
    ' ',
  )
  await t.resolves(
    tsc(...options, '--types', '', file).catch(({ stdout }) => Promise.reject(new Error(stdout))),
  )

  const html =
    '<!doctype html><link rel="icon" href="data:,"><p></p><script type="module" src="/page.js"></script>'
  let script = ''
  const origin = `http://localhost:${await servePage(t, () => script, html)}`
  const server = await startServer(t, { env: { CORS_ORIGINS: origin } })
  await signUp(server.url, EMAIL)
  t.ok(printed.includes('http://localhost:3000'))
  script = await bundle((before + printed + after).replaceAll('http://localhost:3000', server.url), folder)

  const { page, faults } = await openPage(t, browser)
  await page.goto(origin)
  await page.getByText(`${EMAIL}, login, true`).waitFor()
  await page.reload()
  await page.getByText(`${EMAIL}, login, true`).waitFor()
  t.strictSame(faults, [])

  const { status } = await fetch(`${server.url}/auth/logout`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await logIn(server.url, EMAIL)}`,
      'content-type': 'application/json',
    },
    body: '{"scope":"all"}',
  })
  t.equal(status, 204)
  t.equal(await page.evaluate(() => latchkey.me().then(String, ({ code }) => code)), 'token_revoked')
  await page.getByText('Sign in again: session_ended').waitFor()
})
