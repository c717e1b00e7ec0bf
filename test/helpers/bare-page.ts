import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { BrowserContext, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Client } from '../../src/client/client.ts'
import { freePort } from './free-port.ts'
import { poll } from './poll.ts'
import { type ServerProcess, startServer } from './process.ts'
import { PASSWORD } from './service.ts'

declare global {
  /** In the page: its client, and what happened to its session, as `type` or `type: reason`. */
  var latchkey: Client
  var events: string[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** How a page keeps its session: in one of these storages, or by cookie. */
export type Keeping = 'localStorage' | 'sessionStorage' | 'memory' | 'cookie'

// It finds its session when it is loaded, and says who is signed in, or why nobody is any more.
const script = `
import { createClient, webStorage } from 'latchkey/client'

const wish = new URLSearchParams(location.search)
const keeping = wish.get('keeping')
const status = document.querySelector('[role=status]')
globalThis.events = []
globalThis.latchkey = createClient({
  baseUrl: wish.get('latchkey'),
  transport: keeping === 'cookie' ? 'cookie' : 'body',
  storage: keeping.endsWith('Storage') ? webStorage(window[keeping]) : undefined,
})

async function show(event) {
  if (event.reason) status.textContent = 'Signed out: ' + event.reason
  else if (!latchkey.isSignedIn) status.textContent = 'Nobody is signed in'
  else if (event.type !== 'refreshed') status.textContent = 'Signed in as ' + (await latchkey.account.read()).email
}
latchkey.onChange((event) => {
  events.push(event.reason ? event.type + ': ' + event.reason : event.type)
  return show(event)
})
try {
  await latchkey.restore()
  await show({})
} catch (error) {
  status.textContent = 'Not known: ' + error.code
}
`

const html = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <link rel="icon" href="data:,">
  <title>A page</title>
  <p role="status">Loading</p>
  <script type="module" src="/page.js"></script>
</html>
`

/** Bundles a script for browsers. @param folder where its packages are; without it latchkey/client is the sources' */
export async function bundle(contents: string, folder?: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: folder ?? root, loader: 'ts' },
    alias: folder === undefined ? { 'latchkey/client': `${root}src/client/client.ts` } : {},
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
  })
  return String(outputFiles[0]?.text)
}

/** Serves a page and its script by whatever name of this machine, until the test ends. @returns the port */
export async function servePage(t: Test, script: () => string, page = html): Promise<number> {
  const server = createServer(({ url }, response) => {
    const isScript = url === '/page.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html; charset=utf-8')
    response.end(isScript ? script() : page)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** A page of somebody's own, and the Latchkey that it uses. */
export interface Site {
  /** Where Latchkey is for browsers. */
  readonly latchkey: string
  /** The origin of the page. */
  readonly origin: string
  readonly server: ServerProcess
  /** Starts Latchkey again, as it was, after it has ended. */
  again(): Promise<ServerProcess>
  /** Loads the page into a tab, and waits until it knows whether somebody is signed in. */
  open(page: Page, keeping: Keeping): Promise<void>
}

/** @param hosts by which names the browser reaches them */
export async function startSite(
  t: Test,
  env: Record<string, string> = {},
  hosts: { readonly page: string; readonly latchkey: string } = { page: 'localhost', latchkey: 'localhost' },
): Promise<Site> {
  const bundled = await bundle(script)
  const [pagePort, port] = [await servePage(t, () => bundled), await freePort()]
  const origin = `http://${hosts.page}:${pagePort}`
  const latchkey = `http://${hosts.latchkey}:${port}`
  const all = { PORT: String(port), CORS_ORIGINS: origin, ...env }
  const server = await startServer(t, { env: all })
  return {
    latchkey,
    origin,
    server,
    again: () => startServer(t, { env: all, folder: server.folder }),
    async open(page, keeping) {
      await page.goto(`${origin}/?${new URLSearchParams({ latchkey, keeping })}`)
      await known(page)
    },
  }
}

/** Waits until a page that was loaded knows whether somebody is signed in. @returns what it says */
export async function known(page: Page): Promise<string> {
  const status = page.getByRole('status').filter({ hasNotText: 'Loading' })
  await status.waitFor()
  return String(await status.textContent())
}

/** Signs up in the page: again where the node, which shares its cores with the browser, had too much to do. */
export async function signUp(page: Page, email: string): Promise<void> {
  const form = { email, password: PASSWORD }
  const codeOf = () =>
    page.evaluate((form) => latchkey.signUp(form).then(String, ({ code }) => String(code)), form)
  await poll('the sign-up', async () => (await codeOf()) !== 'overloaded')
  await page.getByText(`Signed in as ${email}`).waitFor()
}

/**
 * The statuses that refreshes of a browser are answered with from now on, but for a 503, which says to ask again.
 *
 * @returns an array that grows
 */
export function watchRefreshes(context: BrowserContext): number[] {
  const statuses: number[] = []
  context.on('response', (response) => {
    const isRefresh = response.request().method() === 'POST' && response.url().endsWith('/auth/refresh')
    if (isRefresh && response.status() !== 503) statuses.push(response.status())
  })
  return statuses
}

/** Faults, but for a 503: a node that shares its cores with the browser may have too much to do, and is asked again. */
export function graveFaults(faults: readonly string[]): string[] {
  return faults.filter((fault) => !/status of 503 .*\/auth\/\w+\)$/.test(fault))
}
