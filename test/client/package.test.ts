import { readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { type BuildOptions, build } from 'esbuild'
import t from 'tap'
import { builtPackage, node, tsc } from '../helpers/built-package.ts'
import { header } from '../helpers/client-types.ts'

const MOST = 4_096
const pathOf = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const entry = pathOf('src/client/client.ts')

/** Bundles for browsers: what is of Node.js alone makes it fail. */
async function bundle(options: BuildOptions): Promise<string> {
  const common = { bundle: true, write: false, format: 'esm', platform: 'browser', minify: true } as const
  const { outputFiles } = await build({ ...common, ...options })
  return String(outputFiles?.[0]?.text)
}

t.test('the whole client is at most 4 KiB', async (t) => {
  const whole = await bundle({ entryPoints: [entry], target: 'es2022' })
  const size = gzipSync(whole, { level: 9 }).length
  t.ok(size <= MOST, `${size} bytes`)
  t.comment(`latchkey/client: ${size} bytes gzipped, ${whole.length} minified`)
  t.equal(whole, await bundle({ entryPoints: [entry], target: 'esnext' }), 'in ES2022 it is the same')
  t.notMatch(whole, /\b(import|require)\b/, 'nothing else is loaded')
})

t.test('what is not used is not taken along', async (t) => {
  const stdin = { contents: `export { memoryStorage } from '${entry}'`, resolveDir: pathOf('.') }
  const part = await bundle({ stdin })
  t.ok(part.length < 300, `${part.length} bytes`)
})

t.test('it works as it is published, and its types check', async (t) => {
  const folder = await builtPackage(t)
  const program = join(folder, 'page.mts')
  writeFileSync(
    program,
    `import { asyncStorage, createClient, LatchkeyError, memoryStorage, webStorage } from 'latchkey/client'
const client = createClient({ baseUrl: 'http://127.0.0.1:1', storage: memoryStorage() })
const stop: () => void = client.onChange((event) => {
  if (event.type === 'signed_out') console.log(event.reason)
})
export async function all(id: string) {
  const { accounts } = await client.request('GET /admin/accounts', { query: { limit: 5 } })
  const name: string | null | undefined = accounts[0]?.name
  const gone: undefined = await client.request('DELETE /account/sessions/{id}', { path: { id } })
  const text: string = await client.request('GET /metrics')
  // @ts-expect-error a path that there is not
  await client.request('GET /nothing')
  // @ts-expect-error a method that there is not
  await client.request('PUT /account', { body: {} })
  // @ts-expect-error the body is needed
  await client.request('PATCH /account')
  // @ts-expect-error so is what the path names
  await client.request('DELETE /account/sessions/{id}')
  // @ts-expect-error a field that there is not
  await client.account.update({ nickname: 'Ada' })
  // @ts-expect-error the transport is the client's
  await client.logIn({ email: '', password: '', transport: 'cookie' })
  return { name, gone, text }
}
stop()
console.log(typeof asyncStorage, typeof webStorage, await client.restore())
await client.me().catch((error: unknown) => console.log(error instanceof LatchkeyError && error.code))
`,
  )
  await t.resolves(
    tsc(
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--types',
      'node',
      program,
    ).catch(({ stdout }) => Promise.reject(new Error(stdout))),
  )
  const page = join(folder, 'page.mjs')
  writeFileSync(page, stripTypeScriptTypes(readFileSync(program, 'utf8')))
  t.equal(await node(page), 'function function false\nnetwork_error\n')
})

t.test('the types are those of openapi.yaml: `npm run client:types` writes them', async (t) => {
  const api = readFileSync(pathOf('src/client/api.ts'), 'utf8')
  const openapi = readFileSync(pathOf('openapi.yaml'), 'utf8')
  const types = api.slice(api.indexOf('/**'))
  t.equal(api, header(openapi, types) + types)
})

t.test('the generator is the one that its lock names', async (t) => {
  const lock = JSON.parse(readFileSync(pathOf('test/clients/package-lock.json'), 'utf8'))
  const { devDependencies } = JSON.parse(readFileSync(pathOf('test/clients/package.json'), 'utf8'))
  t.strictSame(lock.packages[''].devDependencies, devDependencies)
})
