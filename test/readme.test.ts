import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { variableNames } from '../src/config.ts'
import { builtPackage } from './helpers/built-package.ts'
import { request } from './helpers/client.ts'
import { freePort } from './helpers/free-port.ts'
import { poll } from './helpers/poll.ts'
import { emptyFolder, type ServerProcess, startServer } from './helpers/process.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
const CLI = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

const skip = spawnSync('curl', ['--version']).error === undefined ? false : 'there is no curl'

/** A block of code as the page prints it. */
interface Block {
  readonly kind: string
  readonly text: string
}

function section(title: string): string {
  const text = new RegExp(`^## ${title}\n(.*?)^## `, 'ms').exec(readme)?.[1]
  if (text === undefined) throw new Error(`the page has no section ${title}`)
  return text
}

function blocksOf(title: string): Block[] {
  const blocks = section(title).matchAll(/^```(sh|json|js)\n(.*?)^```/gms)
  return [...blocks].map(([, kind = '', text = '']) => ({ kind, text }))
}

// Somebody who is signed in, as the first section of the page leaves them.
const ADA = blocksOf('From sign-up to signed out')
  .filter(({ kind }) => kind === 'sh')
  .slice(0, 2)
  .map(({ text }) => text.replace('cat tokens.json\n', ''))
  .join('')

/** What a script runs in. */
interface Surroundings {
  /** Lines that go before, and whose answers aren't looked at. */
  readonly before?: string
  /** What stands in the place of what is printed. */
  readonly replaced?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Runs the lines of blocks as one script, in the server's folder, and holds its answers against those that are printed.
 *
 * @returns everything that it printed
 */
function run(
  t: Test,
  server: ServerProcess,
  blocks: readonly Block[],
  { before = '', replaced = {}, env = {} }: Surroundings = {},
): string {
  const lines = blocks.map(({ kind, text }) => (kind === 'sh' ? text : 'echo; echo ---answer---\n')).join('')
  const addresses = { 'http://localhost:3000': server.url, ...replaced }
  const script = Object.entries(addresses).reduce(
    (text, [printed, real]) => text.replaceAll(printed, String(real)),
    `npm() { shift 4; node "${CLI}" "$@"; }\n${before}\necho ---begin---\n${lines}`,
  )
  const file = join(emptyFolder(t), 'lines.sh')
  writeFileSync(file, script)
  const { stdout, stderr, status } = spawnSync('bash', ['-eu', file], {
    cwd: server.folder,
    encoding: 'utf8',
    // The page's `node` is whichever there is.
    env: { ...environment, PATH: `${nodeFolder(t)}:${process.env.PATH}`, ...env },
  })
  t.equal(status, 0, stderr)

  const answers = (stdout.split('---begin---\n')[1] ?? '').split('---answer---\n').slice(0, -1)
  const printed = blocks.filter(({ kind }) => kind === 'json').map(({ text }) => text)
  t.same(answers.map(lastLine).map(masked), printed.map(masked))
  return stdout
}

// tap's coverage goes with the commands, as it goes with the servers.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => /^(NODE_OPTIONS|NODE_V8_COVERAGE|_?TAP.*)$/.test(name)),
)

function nodeFolder(t: Test): string {
  const folder = emptyFolder(t)
  mkdirSync(join(folder, 'bin'))
  symlinkSync(process.execPath, join(folder, 'bin', 'node'))
  return join(folder, 'bin')
}

t.test('from sign-up to signed out', { skip }, async (t) => {
  const server = await startServer(t)
  const blocks = blocksOf('From sign-up to signed out')
  t.ok(blocks.filter(({ kind }) => kind === 'json').length >= 4, 'the page prints answers')
  run(t, server, blocks)
})

t.test('log someone out', { skip }, async (t) => {
  const server = await startServer(t)
  const stdout = run(t, server, blocksOf('Log someone out'), { before: ADA })
  t.match(stdout.split('\n').at(-2), /ada@example\.com .* disabled /, 'the list names her')
})

t.test('in production', { skip }, async (t) => {
  const server = await startServer(t)
  const stdout = run(t, server, blocksOf('In production'), { before: ADA })
  t.match(stdout, / login .* signup /s, 'the trail tells what she did')
})

t.test('rotate the secret', { skip }, async (t) => {
  const env = { ACCESS_TOKEN_TTL: '1s' }
  const server = await startServer(t, { env })
  const kids = async () => Object((await request(server.url, '/readyz')).json.keys).verifying as string[]
  const before = await kids()
  run(t, server, blocksOf('Rotate the secret'), { env })
  const after = await poll('the old secret to be dropped', async () => {
    const now = await kids()
    return now.length === 1 && now[0] !== before[0] && now
  })
  t.not(after[0], before[0])
})

t.test('verify tokens in your own service', { skip }, async (t) => {
  const server = await startServer(t, { env: { JWT_OTHER_AUDIENCES: 'billing' } })
  const blocks = blocksOf('Verify tokens in your own service')
  const [first, ...rest] = blocks.filter(({ kind }) => kind !== 'js')
  run(t, server, [first as Block])

  // The service's own folder, with what `npm install` brings, and the two files.
  const folder = await builtPackage(t)
  for (const name of ['billing-secret', 'billing-credential']) {
    writeFileSync(join(folder, name), readFileSync(join(server.folder, name)))
  }
  const ports = { 'express.mjs': await freePort(), 'fastify.mjs': await freePort() }
  for (const { text } of blocks.filter(({ kind }) => kind === 'js')) {
    const name = /^\/\/ (\S+)\n/.exec(text)?.[1] as string
    const port = ports[name as keyof typeof ports] ?? 0
    const address = "url: 'http://localhost:3000'"
    writeFileSync(
      join(folder, name),
      text.replace(address, `url: '${server.url}'`).replace('4000', String(port)),
    )
  }
  for (const [name, port] of Object.entries(ports)) await startService(t, folder, name, port)
  const webPort = await freePort()
  await startService(t, folder, serveWeb(folder, webPort), webPort)

  const all = [...Object.values(ports), webPort]
  const answers = async (token: string) =>
    Promise.all(
      all.map(async (port) => (await request(`http://localhost:${port}`, '/invoices', { token })).json),
    )
  const replaced = { 'http://localhost:4000': `http://localhost:${ports['express.mjs']}` }
  run(t, server, rest, { before: ADA, replaced })
  const { access_token: token } = JSON.parse(readFileSync(join(server.folder, 'billing.json'), 'utf8'))
  await poll('every service to refuse', async () =>
    (await answers(token)).every(({ code }) => code === 'token_revoked'),
  )

  const login = { email: 'ada@example.com', password: 'a long walk by the river', audience: 'billing' }
  const { json } = await request(server.url, '/auth/login', { body: login })
  for (const answer of await answers(String(json.access_token))) t.match(answer, { of: /^[\da-f-]{36}$/ })
})

// The page's handler of a Request behind Node's own server, as an adapter would put it there.
function serveWeb(folder: string, port: number): string {
  const name = 'serve-web.mjs'
  writeFileSync(
    join(folder, name),
    `import { createServer } from 'node:http'
     import handler from './web.mjs'
     createServer(async ({ url, headers }, response) => {
       const reply = handler.fetch(new Request('http://localhost' + url, { headers }))
       response.writeHead(reply.status, Object.fromEntries(reply.headers)).end(await reply.text())
     }).listen(${port})`,
  )
  return name
}

async function startService(t: Test, folder: string, file: string, port: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  await poll(`${file} to listen`, async () => {
    if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}`)
    return request(`http://localhost:${port}`, '/invoices').then(
      ({ status }) => status === 401,
      () => false,
    )
  })
  return child
}

t.test('the configuration table lists every variable', async (t) => {
  const listed = [...section('Configuration').matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) => [
    ...(cell ?? '').matchAll(/`(\w+)`/g),
  ])
  t.same(listed.map(([, name]) => name).sort(), [...variableNames].sort())
})

// What was answered last before it was looked at: lines before it are of commands that print nothing but for people.
function lastLine(answer: string): string {
  return answer.trim().split('\n').at(-1) ?? ''
}

// What differs from run to run, by its kind.
function masked(answer: string): unknown {
  return JSON.parse(
    answer
      .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<access token>')
      .replace(/lkr_[\w-]+/g, '<refresh token>')
      .replace(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, '<id>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
      .replace(/"(iat|exp)":\d+/g, '"$1":0')
      .replace(/curl\/[\d.]+/g, '<curl>'),
  )
}
