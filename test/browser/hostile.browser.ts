import type { Browser } from 'playwright-core'
import t from 'tap'
import { known, signUp, startSite, watchRefreshes } from '../helpers/bare-page.ts'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import { logIn, signUp as signUpElsewhere } from '../helpers/client.ts'
import { MALLORY, serveHostilePage } from '../helpers/hostile-page.ts'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { logged } from '../helpers/supervised.ts'

const EMAIL = 'ada@example.com'

let browser: Browser
t.before(async () => {
  browser = await launchBrowser(t)
})

// For SameSite a port makes no difference, and neither does a subdomain: of these only the first is another site.
const places = [
  { what: 'another site', hostile: '127.0.0.1', page: 'localhost', latchkey: 'localhost' },
  { what: 'another port of the same host', hostile: 'localhost', page: 'localhost', latchkey: 'localhost' },
  {
    what: 'another subdomain',
    hostile: 'blog.fernhill.localhost',
    page: 'app.fernhill.localhost',
    latchkey: 'auth.fernhill.localhost',
  },
]

for (const { what, hostile, ...hosts } of places) {
  t.test(`${what} gets nothing of a session in a cookie`, async (t) => {
    const site = await startSite(t, { LOG_REQUESTS: 'on' }, hosts)
    const hostilePort = await serveHostilePage(t, PASSWORD)
    await signUpElsewhere(site.server.url, MALLORY)
    const { page: victim } = await openPage(t, browser)
    const context = victim.context()
    await site.open(victim, 'cookie')
    await signUp(victim, EMAIL)
    const { sid } = await victim.evaluate(() => latchkey.me())
    const cookies = () => context.cookies(site.latchkey)
    const before = await cookies()
    t.match(before, [{ name: '__Host-latchkey', value: /^lkr_/ }])
    const requests = () => logged(site.server).filter(({ msg }) => msg === 'request')
    const start = requests().length

    const page = await context.newPage()
    await page.goto(`http://${hostile}:${hostilePort}/`)
    const heard = await page.evaluateHandle((url) => attack.intrude(url), site.latchkey)
    const asked = await page.evaluate((url) => attack.ask(url), site.latchkey)
    const askedFromSandbox = await page.evaluate((url) => attack.askFromSandbox(url), site.latchkey)
    for (const found of [asked, askedFromSandbox]) {
      const read = Object.entries(found).filter(([, answer]) => !/^(TypeError: .*|opaque 0 )$/.test(answer))
      t.strictSame(read, [], 'no answer can be read')
      t.ok(Object.keys(found).length > 80)
    }
    const forms = await page.evaluate((url) => attack.sendForms(url), site.latchkey)
    const beacons = await page.evaluate((url) => attack.sendBeacons(url), site.latchkey)
    t.ok(forms >= 20 && beacons >= 20)
    const embedded = Object.entries(await page.evaluate((url) => attack.embed(url), site.latchkey))
    t.strictSame(
      embedded.filter(([, seen]) => !/^(SecurityError|refused)$/.test(seen)),
      [],
      'nothing can be embedded',
    )
    await page.evaluate((url) => attack.openWindows(url), site.latchkey)
    const looks = await poll('the windows to load', async () => {
      const seen = Object.entries(await page.evaluate(() => attack.lookIntoWindows()))
      return seen.every(([, look]) => look !== 'loading') && seen
    })
    t.strictSame(
      looks.filter(([, seen]) => !/^(SecurityError|gone)$/.test(seen)),
      [],
      'no window can be looked into',
    )
    t.notMatch(await page.evaluate(() => attack.writeCookies()), 'lkr_')

    // Latchkey has refused all of it, but for what is public, and the cookie is what it was.
    const answered = await poll('its requests', () => {
      const all = requests().slice(start)
      return all.filter(({ method }) => method === 'POST').length >= 150 && all
    })
    const accepted = answered.filter(({ status }) => Number(status) < 400)
    t.strictSame(
      accepted.filter(({ method, route }) => !(method === 'GET' && isPublic(route))),
      [],
    )
    t.strictSame(await cookies(), before)

    // And the victim goes on, in the same session.
    const refreshes = watchRefreshes(context)
    await victim.reload()
    t.equal(await known(victim), `Signed in as ${EMAIL}`)
    t.equal((await victim.evaluate(() => latchkey.me())).sid, sid)
    t.strictSame(refreshes, [200])
    t.strictSame(await page.evaluate((heard) => heard, heard), [], 'nothing was overheard')
    t.ok(await logIn(site.server.url, MALLORY), 'the form would have been good for somebody else')
  })
}

t.test('what it does would work on a page that may', async (t) => {
  const site = await startSite(t, { LOG_REQUESTS: 'on' })
  const { page } = await openPage(t, browser)
  await site.open(page, 'cookie')
  await signUp(page, EMAIL)
  const ask = async (url: string) => {
    const reply = await fetch(`${url}/auth/refresh`, {
      method: 'POST',
      credentials: 'include',
      headers: { 'content-type': 'application/json', 'latchkey-transport': 'cookie' },
      body: '{"transport":"cookie"}',
    })
    return { status: reply.status, json: Object(await reply.json()) }
  }
  t.match(await page.evaluate(ask, site.latchkey), { status: 200, json: { access_token: String } })
})

const isPublic = (route: unknown) => /^\/(docs|openapi\.json)/.test(String(route))
