import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import t, { type Test } from 'tap'
import { type Client, createClient } from '../../src/client/client.ts'
import { builtPackage } from '../helpers/built-package.ts'
import { blocksOf, testPage, writeFiles } from '../helpers/pages.ts'
import { poll } from '../helpers/poll.ts'
import { emptyFolder, startServer } from '../helpers/process.ts'
import { PASSWORD } from '../helpers/service.ts'

const PAGE = 'docs/mobile.md'
const EMAIL = 'ada@example.com'

/** An app as the page writes it, started anew with what the device keeps. */
interface App {
  readonly latchkey: Client
  /** What is on the screen. */
  readonly screens: string[]
  /** Brings it to the foreground. */
  activate(): void
}

// In the place of the device, which isn't here: a Keychain that outlives apps, and what tells of the foreground.
const keychain = `
  const items = (globalThis.keychain ??= new Map())
  export const ACCESSIBLE = { AFTER_FIRST_UNLOCK_THIS_DEVICE_ONLY: 'AccessibleAfterFirstUnlockThisDeviceOnly' }
  export const getGenericPassword = async ({ service }) => items.get(service) ?? false
  export const resetGenericPassword = async ({ service }) => items.delete(service)
  export async function setGenericPassword(username, password, { service, accessible }) {
    if (!Object.values(ACCESSIBLE).includes(accessible)) throw new Error('not kept on this device alone')
    items.set(service, { service, username, password })
    return { service, storage: 'keychain' }
  }`
const reactNative = `
  export const AppState = {
    addEventListener(type, listener) {
      activate = () => listener('active')
      return { remove() {} }
    },
  }
  export let activate`

const built = await builtPackage(t)

/** Bundles the page's code, as an app's bundler does. @returns what starts the app */
function bundle(t: Test, url: string): () => Promise<App> {
  const folder = emptyFolder(t)
  symlinkSync(join(built, 'node_modules'), join(folder, 'node_modules'))
  writeFiles(folder, blocksOf(PAGE), { 'https://auth.example.com': url })
  writeFileSync(join(folder, 'keychain.js'), keychain)
  writeFileSync(join(folder, 'react-native.js'), reactNative)
  writeFileSync(
    join(folder, 'app.js'),
    `import * as native from 'react-native'
     export { latchkey } from './session.js'
     export { start } from './start.js'
     export const activate = () => native.activate()`,
  )
  let starts = 0
  return async () => {
    const outfile = join(folder, `start-${++starts}.mjs`)
    await build({
      absWorkingDir: folder,
      entryPoints: ['app.js'],
      alias: { 'react-native-keychain': './keychain.js', 'react-native': './react-native.js' },
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'browser',
    })
    const { latchkey, start, activate } = await import(pathToFileURL(outfile).href)
    const screens: string[] = []
    await start({
      showApp: () => screens.push('app'),
      showLogin: (reason = '') => screens.push(`login ${reason}`.trim()),
    })
    return { latchkey, screens, activate }
  }
}

/** Asks until it isn't too much: the machine may have much else to do. */
async function inTime(ask: () => Promise<unknown>): Promise<void> {
  await poll('an answer', async () => {
    const answer: unknown = await ask().catch((error: unknown) => error)
    if (answer instanceof Error && Object(answer).code !== 'overloaded') throw answer
    return !(answer instanceof Error)
  })
}

testPage(t, PAGE, {
  async 'Start, foreground and background'(t) {
    const server = await startServer(t)
    const open = bundle(t, server.url)

    const first = await open()
    t.strictSame(first.screens, ['login'])
    await inTime(() => first.latchkey.signUp({ email: EMAIL, password: PASSWORD }))
    await poll('the app to be shown', () => first.screens.at(-1) === 'app')

    const second = await open()
    await poll('the session to be found', () => second.screens.at(-1) === 'app')
    t.equal(second.screens.length, 1, 'nobody is asked to log in')

    const elsewhere = createClient({ baseUrl: server.url })
    await inTime(() => elsewhere.logIn({ email: EMAIL, password: PASSWORD }))
    await elsewhere.logOut({ scope: 'others' })
    second.activate()
    await poll('the end to be noticed', () => second.screens.at(-1) === 'login session_ended')

    const third = await open()
    t.strictSame(third.screens, ['login'], 'it is gone from the Keychain')
  },

  async 'Keep the session in the Keychain'(t) {
    const server = await startServer(t)
    const open = bundle(t, server.url)
    const app = await open()
    await inTime(() => app.latchkey.signUp({ email: EMAIL, password: PASSWORD }))
    server.child.kill('SIGKILL')
    await server.ended()

    const offline = await open()
    await poll('the session to be found', () => offline.screens.at(-1) === 'app')
    offline.activate()
    await t.rejects(offline.latchkey.me(), { code: 'network_error' })
    t.equal(offline.latchkey.isSignedIn, true, 'without a network it is kept')
  },
})
