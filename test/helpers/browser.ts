import { existsSync } from 'node:fs'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

// Where Debian, Fedora and macOS have it.
const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/** Starts Chromium. It ends with the test. @throws an Error that says how to get one, if there is none */
export async function launchBrowser(t: Test): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? places.find((path) => existsSync(path))
  if (executablePath === undefined || !existsSync(executablePath)) {
    throw new Error(
      'There is no Chromium: `apt-get install chromium`, or name one by CHROMIUM=/path/to/chromium.',
    )
  }
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  t.teardown(() => browser.close())
  return browser
}

export interface WatchedPage {
  readonly page: Page
  /** Every URL that was asked for, but for those that carry what they name (data:, blob:). */
  readonly requests: string[]
  /** What went wrong: errors on the console, which has violations of the CSP as well, exceptions, failed requests. */
  readonly faults: string[]
}

/** A page of somebody who was never here before; what it does is written down. It closes with the test. */
export async function openPage(
  t: Test,
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext(options)
  t.teardown(() => context.close())
  const requests: string[] = []
  const faults: string[] = []
  context.on('request', (request) => {
    if (!/^(data|blob):/.test(request.url())) requests.push(request.url())
  })
  context.on('requestfailed', (request) => faults.push(`${request.url()} ${request.failure()?.errorText}`))
  context.on('console', (message) => {
    if (message.type() === 'error') faults.push(`${message.text()} (${message.location().url})`)
  })
  context.on('weberror', (error) => faults.push(String(error.error())))
  return { page: await context.newPage(), requests, faults }
}
