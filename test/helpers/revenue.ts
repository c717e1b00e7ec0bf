import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { AxeBuilder } from '@axe-core/playwright'
import type { Locator, Page } from 'playwright-core'
import type { Test } from 'tap'
import { freePort } from './free-port.ts'
import { poll } from './poll.ts'
import { emptyFolder, npm } from './process.ts'
import { PASSWORD, UNTHROTTLED } from './service.ts'

const folder = fileURLToPath(new URL('../../examples/revenue', import.meta.url))

const run = promisify(execFile)
const { PATH, HOME } = process.env

export interface Person {
  readonly email: string
  readonly password: string
}

/** Who has an account from the start, as the README of the example says. */
export const VERA: Person = { email: 'vera@fernhill.example', password: 'three cups before noon' }
export const ANTON: Person = { email: 'anton@fernhill.example', password: 'the harvest came in early' }
export const IDA: Person = { email: 'ida@fernhill.example', password: 'a spare key under the mat' }

/** examples/revenue as it is started by `npm ci && npm start`, with data of its own. */
export interface Revenue {
  /** Where the page is, and where Latchkey. */
  readonly url: string
  readonly latchkey: string
  /** An operator's command: `accounts disable vera@fernhill.example`. */
  operate(...args: readonly string[]): Promise<void>
  /** Kills Latchkey, after what would take the server of the page along. */
  killLatchkey(): Promise<void>
  /** Ends what is still there, and starts it all again. */
  again(): Promise<void>
}

/** Installs it if that was not done, builds it if something has changed, and starts it. It ends with the test. */
export async function startRevenue(t: Test, env: Record<string, string> = {}): Promise<Revenue> {
  await install()
  const DATA = join(emptyFolder(t), 'data')
  const [PORT, LATCHKEY_PORT] = [String(await freePort()), String(await freePort())]
  const [url, latchkey] = [`http://localhost:${PORT}`, `http://localhost:${LATCHKEY_PORT}`]
  let pids: readonly Started[] = []

  async function start(): Promise<void> {
    const child = spawn('env', npm('start'), {
      cwd: folder,
      env: { PATH, HOME, DATA, PORT, LATCHKEY_PORT, ...UNTHROTTLED, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk
      })
    }
    const first = { pid: child.pid as number, command: 'npm start' }
    pids = [first]
    const isUp = () => {
      if (child.exitCode !== null) throw new Error(`it ended: ${output}`)
      return output.includes('Sign in as')
    }
    await poll('the example to start', isUp, 120_000)
    pids = withChildren(first.pid)
  }

  async function stop(): Promise<void> {
    for (const { pid } of pids) kill(pid, 'SIGTERM')
    await Promise.all([url, latchkey].map(gone))
  }

  t.teardown(stop)
  await start()
  return {
    url,
    latchkey,
    async operate(...args) {
      await run('env', npm('run', '-s', 'latchkey', '--', ...args), {
        cwd: folder,
        env: { PATH, HOME, DATA },
      })
    },
    async killLatchkey() {
      for (const what of ['start.ts', 'cli.js serve']) {
        for (const { pid, command } of pids) if (command.includes(what)) kill(pid, 'SIGKILL')
      }
      await gone(latchkey)
    },
    async again() {
      await stop()
      await start()
    },
  }
}

async function install(): Promise<void> {
  const wanted = join(folder, 'package-lock.json')
  const installed = join(folder, 'node_modules', '.package-lock.json')
  const isThere = existsSync(installed) && statSync(installed).mtimeMs >= statSync(wanted).mtimeMs
  if (!isThere) await run('env', npm('ci'), { cwd: folder })
}

interface Started {
  readonly pid: number
  readonly command: string
}

/** The process, and all that it has started. */
function withChildren(pid: number): Started[] {
  const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return [{ pid, command }, ...children.flatMap((child) => withChildren(Number(child)))]
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    // It has ended by itself, perhaps because another one has.
    if (Object(error).code !== 'ESRCH') throw error
  }
}

/** Waits until nobody answers there. */
async function gone(url: string): Promise<void> {
  await poll(
    `the end of what is at ${url}`,
    () =>
      fetch(url).then(
        () => false,
        () => true,
      ),
    30_000,
  )
}

/** Opens the page, and signs in. @returns once the dashboard is there */
export async function signIn(page: Page, { url }: Revenue, { email, password }: Person): Promise<void> {
  await page.goto(url)
  await page.getByLabel('Email').fill(email)
  await enter(page, 'Password', password)
  await press(page, 'Sign in')
  await heading(page, 'Revenue').waitFor()
}

/** Opens the page, creates an account, and is in. @returns who that is */
export async function createAccount(page: Page, { url }: Revenue, name: string): Promise<Person> {
  const person = { email: `${name.toLowerCase()}@fernhill.example`, password: PASSWORD }
  await page.goto(url)
  await page.getByRole('link', { name: 'Create an account' }).click()
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Email').fill(person.email)
  await enter(page, 'Password', person.password)
  await press(page, 'Create account')
  await heading(page, 'Revenue').waitFor()
  return person
}

/** The field alone, and not the button beside it. */
const enter = (page: Page, label: string, text: string) => page.getByLabel(label, { exact: true }).fill(text)

/** Presses a button that asks Latchkey: again where that has too much to do, as it shares its cores with the browser. */
export async function press(page: Page, name: string): Promise<void> {
  const button = page.getByRole('button', { name, exact: true })
  const tooMuch = page.getByRole('alert').filter({ hasText: 'too much to do' })
  await poll(`what ${name} does`, async () => {
    await button.click()
    await page.locator('[aria-disabled=true]').waitFor({ state: 'detached' })
    return !(await tooMuch.isVisible())
  })
}

export const heading = (page: Page, name: string): Locator => page.getByRole('heading', { name, exact: true })

/** Does what happens when somebody comes back to the window: the page looks whether anything has changed. */
export async function look(page: Page): Promise<void> {
  await page.evaluate('void dispatchEvent(new Event("focus"))')
}

/** Looks until something is there. */
export async function lookFor(page: Page, what: Locator, deadline = 20_000): Promise<void> {
  const isThere = () =>
    what.waitFor({ timeout: 500 }).then(
      () => true,
      () => false,
    )
  await poll(
    `${what} on the page`,
    async () => {
      await look(page)
      return isThere()
    },
    deadline,
  )
}

/** Holds what a page shows against what axe knows, and sees that it fits: in light and wide, and in dark on a phone. */
export async function judge(t: Test, page: Page, view: string): Promise<void> {
  for (const [colorScheme, width] of [
    ['light', 1_280],
    ['dark', 390],
  ] as const) {
    await page.setViewportSize({ width, height: 844 })
    // Colours that are on their way to others are neither.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const { violations } = await new AxeBuilder({ page }).options({ preload: false }).analyze()
    t.strictSame(
      violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.target}`),
      [],
      `axe has nothing to say (${view}, ${colorScheme})`,
    )
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), width, `it fits (${view})`)
  }
}
