import { LatchkeyError } from './error.ts'

// By text, for React Native's URL knows no origin. Whatever a parser would read otherwise than it looks (user names,
// backslashes, tabs) makes a text that equals no trusted one.
function originOf(url: string): string | undefined {
  return /^https?:\/\/[^/?#]+/i.exec(url)?.[0].toLowerCase()
}

/** @throws TypeError for what is no absolute URL */
export function trustedOrigins(urls: readonly string[]): ReadonlySet<string | undefined> {
  return new Set(
    urls.map((url) => {
      const origin = originOf(url)
      if (origin === undefined || /[@\s]/.test(origin)) throw new TypeError(`not an absolute URL: ${url}`)
      return origin
    }),
  )
}

/**
 * Where a request goes that is to carry the access token.
 *
 * @param url absolute, or relative to the page
 * @returns the very text that was checked
 * @throws LatchkeyError untrusted_origin
 */
export function targetOf(url: string, trusted: ReadonlySet<string | undefined>): string {
  const page = (globalThis as { location?: { readonly href: string } }).location?.href
  const absolute = /^https?:\/\//i.test(url) ? url : new URL(url, page).href
  if (trusted.has(originOf(absolute))) return absolute
  throw new LatchkeyError('untrusted_origin', { detail: `no token is for ${url}` })
}

/**
 * The path and query of an endpoint.
 *
 * @param template a path with {names} of what `path` holds
 * @throws TypeError for a part that would make another path of it
 */
export function urlOf(template: string, path: object = {}, query: object = {}): string {
  const parts = new Map(Object.entries(path))
  const filled = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = String(parts.get(name) ?? '')
    if (/^\.{0,2}$/.test(value)) throw new TypeError(`not a part of a path: ${name}`)
    return encodeURIComponent(value)
  })
  const asked = Object.entries(query).filter(([, value]) => value !== undefined)
  return `${filled}?${asked.map((pair) => pair.map(encodeURIComponent).join('=')).join('&')}`
}
