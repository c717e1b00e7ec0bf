import type { Test } from 'tap'
import { bundle, servePage } from './bare-page.ts'

/** What a page does to a Latchkey that isn't for it, with the cookie of whoever looks at it. */
export interface Attack {
  /** Asks with scripts, in every way there is. @returns what each came to know: a status and a body, or an error */
  ask(latchkey: string): Promise<Record<string, string>>
  /** The same from a frame without an origin. */
  askFromSandbox(latchkey: string): Promise<Record<string, string>>
  /** Sends forms into frames, and some into windows. @returns how many into frames */
  sendForms(latchkey: string): Promise<number>
  /** Sends beacons. @returns how many the browser took */
  sendBeacons(latchkey: string): number
  /** Frames pages of the service, and loads them as scripts and images. @returns what it saw of each */
  embed(latchkey: string): Promise<Record<string, string>>
  /** Opens pages of the service in windows, and looks into them. */
  openWindows(latchkey: string): void
  lookIntoWindows(): Record<string, string>
  /** Writes cookies over the service's. @returns all cookies that it sees then */
  writeCookies(): string
  /** Hears what tabs tell each other, and keeps them from what they do one after the other. @returns what it heard, later */
  intrude(latchkey: string): string[]
}

declare global {
  /** In the hostile page. */
  var attack: Attack
}

/** Somebody else's, to make a victim work in their account. */
export const MALLORY = 'mallory@example.com'

const script = (password: string) => `
const account = { email: '${MALLORY}', password: '${password}' }
const wishes = {
  '/auth/refresh': [{ transport: 'cookie' }, {}],
  '/auth/logout': [{ transport: 'cookie' }, { transport: 'cookie', scope: 'all' }, {}],
  '/auth/login': [{ ...account, transport: 'cookie' }, account],
  '/auth/signup': [{ ...account, email: 'x' + account.email, transport: 'cookie' }],
}
const posts = Object.entries(wishes).flatMap(([path, bodies]) => bodies.map((body) => ({ path, body })))
const paths = ['/account', '/account/sessions', '/me', '/revocations']
const pages = ['/docs', '/account', '/auth/refresh']
const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']

const read = (work) => work.then(async (it) => it.type + ' ' + it.status + ' ' + (await it.text()), String)

async function ask(latchkey) {
  const found = {}
  const send = async (name, path, init) => {
    found[name + ' ' + path] = await read(fetch(latchkey + path, { credentials: 'include', ...init }))
  }
  for (const { path, body } of posts) {
    const text = JSON.stringify(body)
    const json = { 'content-type': 'application/json' }
    const own = { 'latchkey-transport': 'cookie' }
    await send('as the client does, ' + text, path, { method: 'POST', body: text, headers: { ...json, ...own } })
    await send('as JSON, ' + text, path, { method: 'POST', body: text, headers: json })
    await send('without asking for leave, with the headers, ' + text, path, {
      method: 'POST', body: text, headers: { ...json, ...own }, mode: 'no-cors',
    })
    await send('without a type, ' + text, path, { method: 'POST', body: new Blob([text]), mode: 'no-cors' })
    for (const type of types) {
      for (const mode of ['cors', 'no-cors']) {
        await send(mode + ', ' + type + ', ' + text, path, {
          method: 'POST', body: text, headers: { 'content-type': type }, mode,
        })
      }
    }
  }
  for (const path of paths) {
    for (const mode of ['cors', 'no-cors']) await send(mode, path, { mode })
  }
  found['as a stream'] = await new Promise((resolve) => {
    const stream = new EventSource(latchkey + '/revocations', { withCredentials: true })
    stream.onopen = () => resolve('open')
    stream.onerror = () => resolve('TypeError: closed')
  })
  return found
}

function askFromSandbox(latchkey) {
  const frame = document.createElement('iframe')
  frame.sandbox = 'allow-scripts'
  const load = '<script src="' + location.origin + '/page.js"><' + '/script>'
  const run = 'attack.ask("' + latchkey + '").then((found) => parent.postMessage(found, "*"))'
  frame.srcdoc = load + '<script>' + run + '<' + '/script>'
  document.body.append(frame)
  return new Promise((resolve) => {
    addEventListener('message', ({ data }) => resolve(data), { once: true })
  })
}

// A form has no JSON, but text/plain comes close to it: name=value.
async function sendForms(latchkey) {
  let count = 0
  for (const { path, body } of posts) {
    for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const text = JSON.stringify({ ...body, x: '=' })
      const middle = text.indexOf('=')
      const field = document.createElement('input')
      Object.assign(field, { name: text.slice(0, middle), value: text.slice(middle + 1) })
      const form = document.createElement('form')
      form.append(field)
      Object.assign(form, { method: 'post', action: latchkey + path, enctype, target: 'frame' + count })
      const frame = document.createElement('iframe')
      frame.name = form.target
      document.body.append(frame, form)
      const loaded = new Promise((resolve) => { frame.onload = resolve })
      form.submit()
      await loaded
      form.target = '_blank'
      if (enctype === 'text/plain') form.submit()
      count++
    }
  }
  return count
}

function sendBeacons(latchkey) {
  return posts.flatMap(({ path, body }) => {
    const text = JSON.stringify(body)
    const bodies = [text, new Blob([text], { type: 'application/json' }), new URLSearchParams(body)]
    return bodies.filter((body) => navigator.sendBeacon(latchkey + path, body))
  }).length
}

const seen = (view) => {
  try {
    // Until a window has loaded, it is its opener's.
    return view.location.href === 'about:blank' ? 'loading' : 'read: ' + view.document.documentElement.outerHTML
  } catch (error) {
    return error.name
  }
}

async function embed(latchkey) {
  const found = {}
  for (const path of pages) {
    for (const tag of ['iframe', 'script', 'img']) {
      const element = document.createElement(tag)
      element.src = latchkey + path
      const loaded = new Promise((resolve) => {
        element.onload = () => resolve(tag === 'iframe' ? seen(element.contentWindow) : 'loaded')
        element.onerror = () => resolve('refused')
      })
      document.body.append(element)
      found[tag + ' ' + path] = await loaded
    }
  }
  return found
}

const windows = {}

function openWindows(latchkey) {
  for (const path of pages) windows['window ' + path] = open(latchkey + path)
}

function lookIntoWindows() {
  return Object.fromEntries(Object.entries(windows).map(([name, opened]) => [name, opened.closed ? 'gone' : seen(opened)]))
}

function writeCookies() {
  const parents = [location.hostname, location.hostname.replace(/^[^.]+\\./, '')]
  for (const value of ['planted', '']) {
    document.cookie = '__Host-latchkey=' + value + '; Path=/; Secure' + (value === '' ? '; Max-Age=0' : '')
    for (const domain of parents) {
      document.cookie = '__Host-latchkey=' + value + '; Path=/; Secure; Domain=' + domain
    }
  }
  return document.cookie
}

function intrude(latchkey) {
  const heard = []
  const channel = new BroadcastChannel('latchkey:' + latchkey)
  channel.onmessage = ({ data }) => heard.push(JSON.stringify(data))
  channel.postMessage({})
  channel.postMessage({ at: Date.now() + 86400000 })
  navigator.locks.request('latchkey:' + latchkey, () => new Promise(() => {}))
  addEventListener('storage', ({ key }) => heard.push(key))
  localStorage.clear()
  return heard
}

globalThis.attack = {
  ask, askFromSandbox, sendForms, sendBeacons, embed, openWindows, lookIntoWindows, writeCookies, intrude,
}
`

const html = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <link rel="icon" href="data:,">
  <title>You have won</title>
  <body>
    <script type="module" src="/page.js"></script>
  </body>
</html>
`

/** Serves a hostile page until the test ends. @returns its port */
export async function serveHostilePage(t: Test, password: string): Promise<number> {
  const bundled = await bundle(script(password))
  return servePage(t, () => bundled, html)
}
