import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { accountsCommand } from '../helpers/accounts-command.ts'
import { node, tsc } from '../helpers/built-package.ts'
import { clientTypes } from '../helpers/client-types.ts'
import { otherClients, runOther } from '../helpers/other-clients.ts'
import { patientWay } from '../helpers/patient.ts'
import { poll } from '../helpers/poll.ts'
import { emptyFolder, type ServerProcess, startServer } from '../helpers/process.ts'
import { PASSWORD } from '../helpers/service.ts'
import type { People, Told } from './journeys/journey.ts'

const pathOf = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))
const openapi = pathOf('openapi.yaml')

// As strict as TypeScript gets, for a page or a program that has fetch().
const compilerOptions = {
  strict: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noFallthroughCasesInSwitch: true,
  isolatedModules: true,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
  skipLibCheck: false,
  target: 'es2022',
  lib: ['es2022', 'dom', 'dom.iterable'],
  types: [],
  module: 'nodenext',
  outDir: 'dist',
}

/** The folder of somebody who makes both clients from openapi.yaml, and goes the journey with each. */
async function madeClients(t: Test): Promise<string> {
  const folder = emptyFolder(t)
  cpSync(pathOf('test/clients/journeys'), folder, { recursive: true })
  symlinkSync(join(await otherClients(), 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  await Promise.all([
    runOther('openapi-typescript/bin/cli.js', [openapi, '--output', 'api.ts'], folder),
    runOther('@hey-api/openapi-ts/bin/run.js', ['--input', openapi, '--output', 'generated'], folder),
  ])
  return folder
}

/** The faults that a compiler finds, a line each. */
async function faultsOf(compiling: Promise<unknown>): Promise<string[]> {
  try {
    await compiling
    return []
  } catch (error) {
    const faults = String(Object(error).stdout).match(/^.*\berror TS.*$/gm)
    if (faults === null) throw error
    return faults
  }
}

const folder = await madeClients(t)

t.test('what is made compiles strictly, and mistakes do not', async (t) => {
  t.strictSame(await faultsOf(runOther('typescript/bin/tsc', [], folder)), [])
})

t.test('so it does with TypeScript 7, for a bundler, with exact optional properties', async (t) => {
  const stricter = [
    '--noEmit',
    '--module',
    'preserve',
    '--moduleResolution',
    'bundler',
    '--exactOptionalPropertyTypes',
  ]
  const faults = await faultsOf(tsc('-p', folder, ...stricter))
  // What @hey-api/openapi-ts brings along, whatever the API, has none of these.
  const brought = /(^|\/)generated\/(client|core)\/.*TS237[59].*exactOptionalPropertyTypes/
  t.strictSame(
    faults.filter((fault) => !brought.test(fault)),
    [],
  )
})

/** A server, an account on it with the role admin, and a service that follows revocations. */
async function peopled(t: Test): Promise<{ server: ServerProcess; people: People }> {
  const server = await startServer(t, { env: { LOG_REQUESTS: 'on' } })
  const accounts = accountsCommand(t, { folder: server.folder })
  const operator = { email: 'root@example.com', password: PASSWORD }
  const [{ stdout: credential }] = await Promise.all([
    accounts.run('create', '--service', '--name', 'billing', '--scope', 'revocations:read'),
    accounts.create(operator.email, '--role', 'admin'),
  ])
  const ada = { email: 'ada@example.com', password: 'a long walk by the lake' }
  return { server, people: { ada, operator, credential: credential.trim() } }
}

for (const name of ['openapi-fetch', 'hey-api']) {
  t.test(`the journey with ${name}`, async (t) => {
    const { server, people } = await peopled(t)
    const program = join(folder, `run-${name}.mjs`)
    writeFileSync(
      program,
      `import { journey } from './dist/${name}.js'
      console.log(JSON.stringify(await journey(process.argv[2], JSON.parse(process.argv[3]))))`,
    )
    const told: Told = JSON.parse(
      await node(program, await patientWay(t, server.url), JSON.stringify(people)),
    )
    isWhatIsTold(t, told, people)
    t.strictSame(await routesAsked(server), routesThere(), 'every endpoint was called')
  })
}

function isWhatIsTold(t: Test, told: Told, { ada, operator }: People): void {
  const { id } = told.signedUp
  const sid = told.me.sid
  t.match(told, {
    signedUp: { email: ada.email, name: 'Ada Lovelace', roles: ['user'], status: 'active' },
    emailTaken: { status: 409, code: 'email_taken' },
    passwordTooWeak: { status: 422, code: 'password_too_weak', fields: ['password'] },
    notAnAddress: { status: 400, code: 'invalid_request', fields: ['email'] },
    wrongPassword: { status: 401, code: 'invalid_credentials', fields: [] },
    expiresIn: 600,
    me: { sub: id, roles: ['user'] },
    account: told.signedUp,
    renamed: { id, name: 'Ada King' },
    nameless: { id, name: null },
    sessionsLeft: [{ id: sid, current: true }],
    noSuchSession: { status: 404, code: 'not_found' },
    sidAfterRefresh: sid,
    refreshedWithNothing: { status: 401, code: 'refresh_token_invalid' },
    wrongCurrentPassword: { status: 401, code: 'invalid_credentials' },
    failedLogins: [{ by: null }],
    noOperator: { status: 403, code: 'insufficient_role' },
    afterLogOut: { status: 401, code: 'token_revoked' },
    withoutToken: { status: 401, code: 'token_missing' },
    details: { id, kind: 'person', status: 'active', sessions: [] },
    disabled: { id, status: 'disabled' },
    logInWhileDisabled: { status: 403, code: 'account_disabled' },
    enabled: { id, status: 'active' },
    afterSignOut: { status: 401, code: 'token_revoked' },
    disabledBy: [String],
    afterDeletion: { status: 404, code: 'not_found' },
    health: { alive: 'alive', ready: 'ready', metrics: /^latchkey_ready 1$/m },
  })
  t.strictSame(
    told.sessions.map(({ id, current }) => [id === sid, current]),
    [
      [true, true],
      [false, false],
    ],
  )
  t.equal(told.sessionsLeft.length, 1)
  t.strictSame(
    told.ownEvents,
    [['password_changed', 'password_check_failed', 'session_ended', 'login', 'login_failed'], ['signup']],
    'a page after the other',
  )
  t.ok(Date.parse(String(told.failedLogins[0]?.at)) <= Date.now())
  t.strictSame(
    told.found.map((page) => page.map(({ email }) => email)),
    [[ada.email], [operator.email]],
    'a page after the other',
  )
  t.ok(told.revokedSessions.includes(sid), 'the session is told as revoked')
}

/** What was asked of a server, as its log has it. */
async function routesAsked(server: ServerProcess): Promise<string[]> {
  const lines = await poll('the last line of the log', () => {
    const lines = server
      .stdout()
      .split('\n')
      .filter((line) => line.includes('"msg":"request"'))
      .map((line) => JSON.parse(line))
    return lines.some(({ route }) => route === '/metrics') && lines
  })
  return [
    ...new Set(lines.map(({ method, route }) => `${method} ${route.replace(/:(\w+)/g, '{$1}')}`)),
  ].sort()
}

function routesThere(): string[] {
  const { paths } = parse(readFileSync(openapi, 'utf8')) as { paths: Record<string, object> }
  return Object.entries(paths)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
    .sort()
}

t.test('latchkey/client has the types that are made of openapi.yaml', async (t) => {
  t.equal(readFileSync(pathOf('src/client/api.ts'), 'utf8'), await clientTypes())
})
