import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { Scope } from './validation.ts'

const compress = promisify(gzip)

// `npm run build` puts all of it in one folder. Beside the sources the library's files are still where npm put them.
const folders = ['../docs/', '../../node_modules/swagger-ui-dist/'].map(
  (path) => new URL(path, import.meta.url),
)

const files = [
  { path: '/docs', file: 'index.html', type: 'text/html; charset=utf-8' },
  { path: '/docs/page.css', file: 'page.css', type: 'text/css; charset=utf-8' },
  { path: '/docs/page.js', file: 'page.js', type: 'text/javascript; charset=utf-8' },
  { path: '/docs/swagger-ui.css', file: 'swagger-ui.css', type: 'text/css; charset=utf-8' },
  { path: '/docs/swagger-ui.js', file: 'swagger-ui-bundle.js', type: 'text/javascript; charset=utf-8' },
] as const

/**
 * In place of what no page has: this one runs its own scripts and styles, asks this service alone, and sends no form by
 * itself (CSP Level 3). A link on it tells nobody where it stood, and no window that opened it can reach into it. A
 * browser may keep what it got as long as it asks whether it is still that: the version after this one has other files.
 */
const pageHeaders = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'cross-origin-opener-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
} as const

interface Asset {
  readonly plain: Buffer
  readonly gzipped: Buffer
  readonly tag: string
}

/**
 * GET /docs and what it consists of: a page to read the contract on, and to try it. A file is read and compressed when
 * it is first asked for, and then kept: 2.5 MiB in all, of which every answer shares the bytes.
 *
 * @param from where the files are looked for, one folder after the other
 */
export function docsRoutes(scope: Scope, from: readonly URL[] = folders): void {
  for (const { path, file, type } of files) {
    const asset = once(() => load(file, from))
    scope.get(path, async ({ headers }, reply) => {
      const { plain, gzipped, tag } = await asset()
      const vary = [reply.getHeader('vary'), 'Accept-Encoding']
        .filter((name) => name !== undefined)
        .join(', ')
      reply.headers(pageHeaders).headers({ etag: `W/${tag}`, vary })
      if (headers['if-none-match']?.includes(tag)) return reply.code(304).send()
      reply.type(type)
      if (!takesGzip(headers['accept-encoding'])) return reply.send(plain)
      return reply.header('content-encoding', 'gzip').send(gzipped)
    })
  }
}

async function load(file: string, [first, ...others]: readonly URL[]): Promise<Asset> {
  let plain: Buffer
  try {
    plain = await readFile(new URL(file, first))
  } catch (error) {
    if (others.length === 0) throw error
    return load(file, others)
  }
  const hash = createHash('sha256').update(plain).digest('base64url')
  return { plain, gzipped: await compress(plain, { level: 9 }), tag: `"${hash.slice(0, 16)}"` }
}

// One load at a time, whoever asks meanwhile; after one that failed, the next who asks tries again.
function once<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let value: Promise<Value> | undefined
  return () => {
    value ??= load().catch((error) => {
      value = undefined
      throw error
    })
    return value
  }
}

// RFC 9110 section 12.5.3. A weight of zero is a refusal.
function takesGzip(accepted: string | undefined): boolean {
  return accepted !== undefined && /(^|,)\s*(x-)?gzip\s*(;\s*q=(1|0\.0*[1-9])[\d.]*\s*)?(,|$)/i.test(accepted)
}
