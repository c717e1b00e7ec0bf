import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Locator, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { launchBrowser, openPage, type WatchedPage } from '../helpers/browser.ts'
import { logIn as logInElsewhere, request, signUp } from '../helpers/client.ts'
import { poll } from '../helpers/poll.ts'
import { startServer } from '../helpers/process.ts'
import { PASSWORD } from '../helpers/service.ts'

const EMAIL = 'ada@example.com'

let browser: Browser
t.before(async () => {
  browser = await launchBrowser(t)
})

/** Opens the page; again where the node, which shares its cores with the browser, had too much to do. */
async function openDocs(
  t: Test,
  url: string,
  options: Parameters<typeof openPage>[2] = {},
): Promise<WatchedPage> {
  const watched = await openPage(t, browser, options)
  const { page, faults } = watched
  const shown = async () => {
    faults.length = 0
    await page.goto(`${url}/docs`, { waitUntil: 'networkidle' })
    return !faults.some((fault) => fault.includes('503'))
  }
  await poll('the page to load', shown, 60_000)
  await operation(page, 'getMe').waitFor()
  return watched
}

function operation(page: Page, id: string): Locator {
  return page.locator(`[id^="operations-"][id$="-${id}"]`)
}

/** Opens an operation, so that it can be tried. */
async function unfold(page: Page, id: string): Promise<void> {
  await operation(page, id).locator('.opblock-summary-control').click()
  await operation(page, id).getByRole('button', { name: 'Try it out' }).click()
}

/** Tries an operation that is open. @returns its status and body */
async function attempt(page: Page, id: string): Promise<{ status: string; body: string }> {
  const tried = operation(page, id)
  const clear = tried.getByRole('button', { name: 'Clear' })
  if (await clear.isVisible()) await clear.click()
  await tried.getByRole('button', { name: 'Execute' }).click()
  const answer = tried.locator('.live-responses-table .response')
  return {
    status: String(await answer.locator('.response-col_status').textContent()),
    body: String(await answer.locator('.response-col_description').textContent()),
  }
}

async function logIn(page: Page, password = PASSWORD): Promise<void> {
  await page.getByLabel('Email', { exact: true }).fill(EMAIL)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

t.test('no request leaves the host, and nothing breaks a rule, whatever the screen', async (t) => {
  const server = await startServer(t)
  await signUp(server.url, EMAIL)
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const width of [1_280, 390]) {
      const what = `${colorScheme}, ${width} px`
      const viewport = { width, height: 844 }
      const { page, requests, faults } = await openDocs(t, server.url, { colorScheme, viewport })
      await logIn(page)
      await page.getByText(`Logged in as ${EMAIL}.`).waitFor()
      await unfold(page, 'getAccount')
      t.equal((await attempt(page, 'getAccount')).status, '200')
      await unfold(page, 'logIn')
      await unfold(page, 'listAccounts')
      // It would load the stylesheets once more by itself, which the page's policy doesn't let it.
      const { violations } = await new AxeBuilder({ page }).options({ preload: false }).analyze()
      t.strictSame(
        violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.target}`),
        [],
        `axe has nothing to say (${what})`,
      )
      t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `it fits (${what})`)
      t.strictSame(
        requests.filter((url) => new URL(url).origin !== server.url),
        [],
        `nothing is asked of others (${what})`,
      )
      t.ok(requests.length >= 8)
      t.strictSame(faults, [], `no error and no violation (${what})`)
    }
  }
})

t.test('what runs there could not reach another host if it tried', async (t) => {
  const [server, other] = [await startServer(t), await startServer(t)]
  const { page, faults } = await openDocs(t, server.url)
  const tried = await page.evaluate(
    (url) => Promise.all([fetch(url), import(url)].map((work) => work.then(() => 'done', String))),
    `${other.url}/livez`,
  )
  for (const outcome of tried) t.match(outcome, /^TypeError/)
  t.ok(faults.some((fault) => fault.includes("connect-src 'self'")))
  // In a task of its own: what evaluate() itself does may evaluate text.
  const evaluated = await page.evaluate(
    () =>
      new Promise((resolve) => {
        setTimeout(() => {
          try {
            resolve(new Function('return 1')())
          } catch (error) {
            resolve(String(error))
          }
        })
      }),
  )
  t.match(evaluated, /^EvalError/)
})

t.test('who logs in once can try what is guarded, and leaves nothing behind', async (t) => {
  const server = await startServer(t)
  await signUp(server.url, EMAIL)
  const { page, faults } = await openDocs(t, server.url)
  await unfold(page, 'getAccount')
  t.match(await attempt(page, 'getAccount'), { status: '401', body: 'token_missing' })

  await logIn(page, 'not the password at all')
  t.equal(
    await page.getByRole('status').filter({ hasText: /\w/ }).textContent(),
    'Address or password is wrong.',
  )
  await logIn(page)
  await page.getByText(`Logged in as ${EMAIL}.`).waitFor()
  t.equal(await page.getByRole('status').textContent(), '')
  t.match(await attempt(page, 'getAccount'), { status: '200', body: EMAIL })

  const kept = await page.evaluate('[localStorage.length, sessionStorage.length, document.cookie]')
  t.strictSame(kept, [0, 0, ''])
  t.strictSame(await page.context().cookies(), [])
  const command = String(await operation(page, 'getAccount').locator('.curl').textContent())
  const token = /Bearer ([\w.-]+)/.exec(command)?.[1] as string
  t.equal((await request(server.url, '/me', { token })).status, 200)

  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Email', { exact: true }).waitFor()
  t.equal((await request(server.url, '/me', { token })).status, 401, 'the session has ended')
  t.match(await attempt(page, 'getAccount'), { status: '401', body: 'token_missing' })

  await logIn(page)
  await page.getByText('Logged in').waitFor()
  await page.reload()
  await operation(page, 'getAccount').waitFor()
  t.ok(await page.getByLabel('Email', { exact: true }).isVisible(), 'and is forgotten with the page')
  t.strictSame(
    faults.filter((fault) => !/status of 401/.test(fault)),
    [],
  )
})

t.test('a token that was pasted is used, and its session outlives the page', async (t) => {
  const server = await startServer(t)
  const token = await signUp(server.url, EMAIL)
  const { page } = await openDocs(t, server.url)
  await page.getByLabel('access token').fill(` ${token}\n`)
  await page.getByRole('button', { name: 'Use it' }).click()
  await unfold(page, 'getMe')
  t.equal((await attempt(page, 'getMe')).status, '200')
  await page.getByRole('button', { name: 'Log out' }).click()
  t.match(await attempt(page, 'getMe'), { status: '401', body: 'token_missing' })
  t.equal((await request(server.url, '/me', { token })).status, 200)
})

t.test('what is tried after the end of a token goes with a new one', async (t) => {
  const server = await startServer(t, { env: { ACCESS_TOKEN_TTL: '10s' } })
  await signUp(server.url, EMAIL)
  const { page, requests } = await openDocs(t, server.url)
  const refreshes = () => requests.filter((url) => url.endsWith('/auth/refresh')).length
  await logIn(page)
  await page.getByText('Logged in').waitFor()
  await unfold(page, 'getMe')
  for (const count of [1, 2]) {
    t.equal((await attempt(page, 'getMe')).status, '200')
    t.equal(refreshes(), count)
  }
})

t.test('who comes back after the end of a token, or of the session, can log out', async (t) => {
  const server = await startServer(t, { env: { ACCESS_TOKEN_TTL: '10s' } })
  await signUp(server.url, EMAIL)
  const { page } = await openDocs(t, server.url)
  const email = page.getByLabel('Email', { exact: true })
  for (const scope of [undefined, 'all']) {
    await logIn(page)
    await page.getByText('Logged in').waitFor()
    if (scope !== undefined) {
      const token = await logInElsewhere(server.url, EMAIL)
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      await fetch(`${server.url}/auth/logout`, { method: 'POST', headers, body: JSON.stringify({ scope }) })
    }
    await page.getByRole('button', { name: 'Log out' }).click()
    await email.waitFor()
  }
})

t.test('a session that ended elsewhere is told', async (t) => {
  const server = await startServer(t)
  const token = await signUp(server.url, EMAIL)
  const { page } = await openDocs(t, server.url)
  await logIn(page)
  await page.getByText('Logged in').waitFor()
  const { status } = await fetch(`${server.url}/auth/logout`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: '{"scope":"others"}',
  })
  t.equal(status, 204)
  await unfold(page, 'getMe')
  t.match(await attempt(page, 'getMe'), { status: '401', body: 'token_revoked' })
  t.equal(await page.getByRole('status').textContent(), 'The session has ended.')
  t.ok(await page.getByLabel('Email', { exact: true }).isVisible())
})

t.test('the parameters are empty until somebody fills them, and their examples are told', async (t) => {
  const server = await startServer(t)
  const { page } = await openDocs(t, server.url)
  await unfold(page, 'listAccounts')
  const accounts = operation(page, 'listAccounts')
  t.equal(await accounts.getByLabel('cursor').inputValue(), '')
  t.match(await accounts.textContent(), 'For example lovelace.')
})
