import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import Fastify from 'fastify'
import t from 'tap'
import { docsRoutes } from '../../src/http/docs.ts'
import { createService } from '../helpers/service.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const files = ['/docs', '/docs/page.css', '/docs/page.js', '/docs/swagger-ui.css', '/docs/swagger-ui.js']
const types = {
  '/docs': 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
}
const gzip = { 'accept-encoding': 'gzip, deflate, br' }

t.test('the page has a policy of its own, which lets it run and ask what is ours alone', async (t) => {
  const { app } = await createService(t)
  for (const url of files) {
    const { statusCode, headers } = await app.inject(url)
    t.equal(statusCode, 200, url)
    t.equal(headers['content-type'], types[url.split('.')[1] as 'css'] ?? types['/docs'])
    t.equal(
      headers['content-security-policy'],
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
    )
    t.match(headers, {
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
      'x-request-id': /^[\w-]{36}$/,
      vary: 'Accept-Encoding',
    })
  }
})

t.test('it names nothing but its own files', async (t) => {
  const { app } = await createService(t)
  const { body } = await app.inject('/docs')
  const named = [...body.matchAll(/ (?:href|src)="([^"]*)"/g)].map(([, url = '']) => url)
  t.strictSame(named.filter((url) => !url.startsWith('data:')).sort(), [
    'docs/page.css',
    'docs/page.js',
    'docs/swagger-ui.js',
    'openapi.json',
  ])
  t.notMatch(body, /<style|<script>| style=| on\w+=/)
})

t.test('a browser that has it already is told so', async (t) => {
  const { app } = await createService(t)
  for (const url of files) {
    const first = await app.inject(url)
    const etag = String(first.headers.etag)
    t.match(etag, /^W\/"[\w-]{16}"$/)
    for (const known of [etag, etag.slice(2), `"another", ${etag}`]) {
      const again = await app.inject({ url, headers: { 'if-none-match': known } })
      t.equal(again.statusCode, 304)
      t.equal(again.body, '')
      for (const name of ['etag', 'cache-control', 'vary', 'content-security-policy'])
        t.equal(again.headers[name], first.headers[name])
    }
    const changed = await app.inject({ url, headers: { 'if-none-match': '"another"' } })
    t.equal(changed.statusCode, 200)
  }
})

t.test('it is compressed for who takes it', async (t) => {
  const { app } = await createService(t)
  for (const url of files) {
    const plain = await app.inject(url)
    t.notOk('content-encoding' in plain.headers)
    const compressed = await app.inject({ url, headers: gzip })
    t.equal(compressed.headers['content-encoding'], 'gzip')
    t.ok(compressed.rawPayload.length < plain.rawPayload.length * 0.7, url)
    t.ok(gunzipSync(compressed.rawPayload).equals(plain.rawPayload))
  }
  const encodingFor = async (accepted: string) =>
    (await app.inject({ url: '/docs', headers: { 'accept-encoding': accepted } })).headers['content-encoding']
  for (const accepted of ['gzip', 'GZIP', 'x-gzip', 'br;q=1.0, gzip;q=0.8', 'gzip ; q=1', 'gzip;q=0.001,br'])
    t.equal(await encodingFor(accepted), 'gzip', accepted)
  for (const accepted of ['', 'br', 'identity', 'gzip;q=0', 'gzip;q=0.000, br', 'notgzip', 'gzipped'])
    t.equal(await encodingFor(accepted), undefined, accepted)
})

t.test('HEAD, other methods and other paths are answered as elsewhere', async (t) => {
  const { app } = await createService(t)
  for (const url of files) {
    const get = await app.inject({ url, headers: gzip })
    const head = await app.inject({ method: 'HEAD', url, headers: gzip })
    t.equal(head.statusCode, 200)
    t.equal(head.body, '')
    for (const name of ['content-length', 'content-type', 'content-encoding', 'etag'])
      t.equal(head.headers[name], get.headers[name], name)
    const post = await app.inject({ method: 'POST', url })
    t.equal(post.statusCode, 405)
    t.equal(post.headers.allow, 'GET, HEAD')
    t.match(post.headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'")
  }
  for (const url of [
    '/docs/',
    '/docs/index.html',
    '/docs/LICENSE',
    '/docs/..%2fapp.ts',
    '/docs/%2e%2e/app.ts',
  ]) {
    const reply = await app.inject(url)
    t.equal(reply.statusCode, 404, url)
    t.equal(reply.json().code, 'not_found')
  }
})

t.test('where pages of other origins may call, caches are told of both', async (t) => {
  const { app } = await createService(t, { env: { CORS_ORIGINS: 'https://app.example.com' } })
  const { headers } = await app.inject({ url: '/docs', headers: { origin: 'https://app.example.com' } })
  t.equal(headers.vary, 'Origin, Accept-Encoding')
})

t.test('DOCS=off removes it, and the contract stays', async (t) => {
  const { app } = await createService(t, { env: { DOCS: 'off' } })
  for (const url of files) t.equal((await app.inject(url)).statusCode, 404, url)
  t.equal((await app.inject('/openapi.json')).statusCode, 200)
})

t.test('a file that is missing is an error, until it is there', async (t) => {
  const folder = t.testdir({ empty: {}, later: {} })
  const app = Fastify()
  docsRoutes(
    app,
    ['empty', 'later'].map((name) => pathToFileURL(`${join(folder, name)}/`)),
  )
  t.equal((await app.inject('/docs')).statusCode, 500)
  copyFileSync(join(root, 'src', 'docs', 'index.html'), join(folder, 'later', 'index.html'))
  const { statusCode, body } = await app.inject('/docs')
  t.equal(statusCode, 200)
  t.equal(body, readFileSync(join(root, 'src', 'docs', 'index.html'), 'utf8'))
})

t.test('a build has all of it, and the licenses of what is not ours', async (t) => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'dist'))
  for (const name of ['src', 'node_modules', 'package.json'])
    symlinkSync(join(root, name), join(folder, name))
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  await promisify(execFile)('sh', ['-c', scripts['build:docs']], { cwd: folder })
  t.match(scripts.build, /&& npm run build:docs$/)
  t.match(readFileSync(join(root, 'Dockerfile'), 'utf8'), /^RUN .* && npm run build:docs$/m)

  const built = join(folder, 'dist', 'docs')
  const app = Fastify()
  docsRoutes(app, [pathToFileURL(`${built}/`)])
  for (const url of files) t.equal((await app.inject(url)).statusCode, 200, url)
  for (const name of ['LICENSE', 'NOTICE', 'swagger-ui-bundle.js.LICENSE.txt'])
    t.ok(readFileSync(join(built, name)).length > 0, name)
})
