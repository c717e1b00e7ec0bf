import { once } from 'node:events'
import { get } from 'node:http'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { launchBrowser, openPage } from '../helpers/browser.ts'
import { logIn, request } from '../helpers/client.ts'
import { freePort } from '../helpers/free-port.ts'
import { type Block, blocksOf, clone, run, start, testPage, writeFiles } from '../helpers/pages.ts'
import { poll } from '../helpers/poll.ts'

const PAGE = 'docs/getting-started.md'

interface Followed {
  /** Where the reader's page is, and where Latchkey is. */
  readonly url: string
  readonly latchkey: string
  /** Latchkey's folder. */
  readonly folder: string
}

/** Does what the page says, up to its fourth section. */
async function follow(t: Test): Promise<Followed> {
  const of = (number: number) =>
    blocksOf(PAGE).filter(({ section, kind }) => section.startsWith(`${number}.`) && kind === 'sh')
  const [port, pagePort] = [await freePort(), await freePort()]
  const replaced = { 'localhost:3000': `localhost:${port}`, '5173': String(pagePort) }
  const folder = clone(t)
  const surroundings = { folder, replaced, env: { PORT: String(port) } }
  const needed = blocksOf(PAGE).filter(({ section }) => section === '')
  await run(t, needed, surroundings)
  await start(t, of(1)[0] as Block, surroundings, (printed) => printed.includes('Server listening'))
  await run(t, of(2), surroundings)
  const own = join(folder, '..', 'my-page')
  writeFiles(own, blocksOf(PAGE), replaced)
  const url = `http://localhost:${pagePort}`
  await start(t, of(4)[0] as Block, { folder: own, replaced }, (printed) => printed.includes(url))
  return { url, latchkey: `http://localhost:${port}`, folder }
}

// The page is one path from the first section to the last.
testPage(t, PAGE, {
  async '1. Start Latchkey'(t) {
    const { url, latchkey, folder } = await follow(t)
    const { page, faults } = await openPage(t, await launchBrowser(t))
    const output = page.getByRole('status')
    const says = async (text: string | RegExp) => {
      await output.filter({ hasText: text }).waitFor()
    }

    /** Presses a button until it isn't too much: the machine may have much else to do. */
    const press = (name: string, answer: RegExp) =>
      poll(`${name} to answer ${answer}`, async () => {
        await page.getByRole('button', { name }).click()
        await output.filter({ hasText: new RegExp(`${answer.source}|^overloaded`) }).waitFor()
        return answer.test(String(await output.textContent()))
      })

    await page.goto(url)
    await says('Sign up or log in.')
    await page.getByLabel('Email').fill('ada@example.com')
    await page.getByLabel('Password').fill('river')
    await press('Sign up', /^password_too_weak: The password/)
    await page.getByLabel('Password').fill('a long walk by the river')
    await press('Sign up', /^Hello, ada@example\.com!/)

    const call = page.getByRole('button', { name: 'Call /me' })
    await call.click()
    await says(/"sub":/)
    t.match(JSON.parse(String(await output.textContent())), { scope: 'account', aud: 'latchkey' })
    await page.reload()
    await says('Welcome back.')
    t.notOk(await page.getByLabel('Email').isVisible())

    const token = await logIn(latchkey, 'ada@example.com')
    const signOut = blocksOf(PAGE).filter(({ section }) => section.startsWith('5.'))
    await run(t, signOut, { folder })
    const refused = async () => (await request(latchkey, '/me', { token })).status === 401
    await poll('her sessions to be refused', refused)
    await call.click()
    await says('"code": "token_revoked"')
    await page.getByLabel('Email').waitFor()

    await page.getByLabel('Email').fill('ada@example.com')
    await page.getByLabel('Password').fill('a long walk by the river')
    await press('Log in', /^Hello, ada@example\.com!/)
    await page.getByRole('button', { name: 'Log out' }).click()
    await says('Signed out: log_out')
    t.strictSame(
      faults.filter((fault) => !/status of (401|422|503)/.test(fault)),
      [],
    )
  },
})

t.test('what is beside the page and not of it is not served', async (t) => {
  const { url } = await follow(t)
  for (const [path, status] of Object.entries({
    '/serve.mjs': 200,
    '/../latchkey/package.json': 404,
    '/%2e%2e/latchkey/package.json': 404,
    '/..%2flatchkey/package.json': 404,
    '/..\\latchkey/package.json': 404,
  })) {
    const { hostname, port } = new URL(url)
    // As it is: fetch() would resolve the dots.
    const [response] = await once(get({ hostname, port, path, agent: false }), 'response')
    t.equal(response.resume().statusCode, status, path)
  }
})
