import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import {
  existsSync,
  globSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { seed } from './server/seed.ts'

// Runs Latchkey, the app server and the page, until Ctrl-C. On the first start it makes what they need.

process.chdir(import.meta.dirname)
const { PORT = '8080', LATCHKEY_PORT = '3000', DATA = 'data' } = process.env
const pageUrl = `http://localhost:${PORT}`
const latchkeyUrl = `http://localhost:${LATCHKEY_PORT}`
const root = resolve('../..')
const cli = 'node_modules/latchkey/dist/cli.js'

const ROLES = {
  user: ['account'],
  viewer: ['revenue:read'],
  analyst: ['revenue:read', 'deals:read'],
  admin: ['account', 'admin', 'revocations:read', 'revenue:read', 'deals:read'],
}

/** For a demonstration alone: they stand in the README as well. */
const people = [
  {
    email: 'vera@fernhill.example',
    name: 'Vera Lindqvist',
    role: 'viewer',
    password: 'three cups before noon',
  },
  {
    email: 'anton@fernhill.example',
    name: 'Anton Reyes',
    role: 'analyst',
    password: 'the harvest came in early',
  },
  { email: 'ida@fernhill.example', name: 'Ida Moreau', role: 'admin', password: 'a spare key under the mat' },
]

/** The environment of Latchkey, and of its commands, whose files lie in the folder. */
function latchkeyEnv(folder: string) {
  return {
    ...process.env,
    PORT: LATCHKEY_PORT,
    DATABASE_URL: `file:${resolve(folder, 'latchkey.db')}`,
    JWT_SECRET_FILE: resolve(folder, 'jwt-secret'),
    JWT_ISSUER: latchkeyUrl,
    CORS_ORIGINS: pageUrl,
    ROLES: JSON.stringify(ROLES),
    LOG_LEVEL: 'warn',
  }
}

/** Whether something has to be built: it isn't there, or older than what it is made of. */
function isStale(built: string, ...sources: string[]): boolean {
  if (!existsSync(built)) return true
  const { mtimeMs } = statSync(built)
  return globSync(sources).some((source) => statSync(source).mtimeMs > mtimeMs)
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] })
}

function build(): void {
  // It is this repository's: from a registry it would come built.
  if (isStale(cli, join(root, 'src/**/*.ts'))) {
    console.log('Building Latchkey ...')
    run('npm', 'run', 'build', '--prefix', root)
  }
  if (isStale('dist/index.html', 'src/**', 'index.html', 'vite.config.ts', 'package-lock.json', cli)) {
    console.log('Building the page ...')
    run('npm', 'run', 'build')
  }
}

/** Makes the secret, the accounts and the figures: all of them, or none where it is interrupted. */
function makeData(): void {
  if (existsSync(join(DATA, 'revenue.db'))) return
  console.log('First start: making a secret, accounts and figures ...')
  const draft = `${DATA}.new`
  rmSync(draft, { recursive: true, force: true })
  mkdirSync(draft, { recursive: true, mode: 0o700 })
  const latchkey = (args: string[], input = '') =>
    execFileSync(process.execPath, [cli, ...args], {
      env: args[0] === 'secret' ? process.env : latchkeyEnv(draft),
      input,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  const keep = (name: string, text: string) => writeFileSync(join(draft, name), text, { mode: 0o600 })

  keep('jwt-secret', latchkey(['secret']))
  const service = ['accounts', 'create', '--service', '--name', 'revenue', '--scope', 'revocations:read']
  keep('credential', latchkey(service))
  for (const { email, name, role, password } of people) {
    latchkey(['accounts', 'create', '--email', email, '--name', name, '--role', 'user', role], password)
  }
  seed(join(draft, 'revenue.db'))
  renameSync(draft, DATA)
}

let ending = false
const running = new Map<string, ChildProcess>()

/** Starts a part. Where it ends by itself, so does all. */
function start(name: string, args: string[], env: NodeJS.ProcessEnv): void {
  const log = openSync(join(DATA, `${name}.log`), 'a')
  // In a group of its own, so that Ctrl-C reaches this process alone, which then ends each once.
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', log, 'inherit'], detached: true })
  running.set(name, child)
  child.on('exit', (code, signal) => {
    running.delete(name)
    if (ending) return
    console.error(`${name} ended (${signal ?? code}); ${join(DATA, `${name}.log`)} may say why.`)
    process.exitCode = 1
    end()
  })
}

function end(): void {
  ending = true
  for (const child of running.values()) child.kill('SIGTERM')
}

async function answers(url: string): Promise<void> {
  while (!ending) {
    const isThere = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isThere) return
    await pause(50)
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
build()
makeData()

start('latchkey', [cli, 'serve'], latchkeyEnv(DATA))
await answers(`${latchkeyUrl}/livez`)
if (!ending) {
  start('server', ['server/main.ts'], {
    ...process.env,
    PORT,
    LATCHKEY_URL: latchkeyUrl,
    REVENUE_DATABASE: join(DATA, 'revenue.db'),
    JWT_SECRET_FILE: join(DATA, 'jwt-secret'),
    CREDENTIAL_FILE: join(DATA, 'credential'),
    PAGE: resolve('dist'),
  })
}
await answers(pageUrl)
if (!ending) {
  console.log(`\nThe page is ${pageUrl}, Latchkey ${latchkeyUrl}. Sign in as\n`)
  for (const { email, role, password } of people) {
    console.log(`  ${role.padEnd(8)} ${email.padEnd(24)} ${password}`)
  }
  console.log('\nCtrl-C ends everything.')
}
