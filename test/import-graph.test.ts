import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { init, parse } from 'es-module-lexer'
import t from 'tap'

const src = fileURLToPath(new URL('../src/', import.meta.url))
await init()

/** What each file of src imports at run time: other files of src by their path, packages by their name. */
const graph = new Map(globSync('**/*.ts', { cwd: src }).map((file) => [file, importsOf(file)]))

function importsOf(file: string): string[] {
  // Type-only imports are gone once the types are stripped: they bind nothing at run time.
  const [imports] = parse(stripTypeScriptTypes(readFileSync(join(src, file), 'utf8')))
  return imports
    .map(({ specifier }) => specifier)
    .filter((name) => typeof name === 'string')
    .map((name) => (name.startsWith('.') ? normalize(join(dirname(file), name)) : name))
}

/** What other services import: the files behind the package's "exports". */
const verifiers = ['verifier', 'fastify', 'express', 'web'].map((name) => `verifiers/${name}.ts`)
/** What applications import, in browsers too. */
const client = 'client/client.ts'

/** Everything that a file imports, and what that imports, and so on. */
function reach(file: string, seen = new Set<string>()): Set<string> {
  for (const next of graph.get(file) ?? []) {
    if (seen.has(next)) continue
    seen.add(next)
    reach(next, seen)
  }
  return seen
}

const files = (pattern: RegExp) => [...graph.keys()].filter((file) => pattern.test(file))
const reaches = (file: string, pattern: RegExp) => [...reach(file)].filter((name) => pattern.test(name))
const imports = (file: string, pattern: RegExp) =>
  (graph.get(file) ?? []).filter((name) => pattern.test(name))

t.test('the graph is that of the sources', async (t) => {
  t.ok(graph.size > 30)
  for (const [file, names] of graph) {
    for (const name of names.filter((name) => name.endsWith('.ts')))
      t.ok(graph.has(name), `${file} imports ${name}`)
  }
  t.ok(reach('cli.ts').has('database/sqlite.ts'), 'the command reaches the database')
  const reached = new Set(['cli.ts', ...verifiers, client].flatMap((file) => [file, ...reach(file)]))
  t.strictSame(
    [...graph.keys()].filter((file) => !reached.has(file) && (graph.get(file) ?? []).length > 0),
    [],
    'and every file is reached from it, or by other services',
  )
})

t.test('there are no circles', async (t) => {
  for (const file of graph.keys()) t.notOk(reach(file).has(file), file)
})

t.test('what decides on a request knows no database', async (t) => {
  for (const file of [
    'tokens/guard.ts',
    'tokens/verifier.ts',
    'tokens/revocations.ts',
    'tokens/keyring.ts',
  ]) {
    t.ok(graph.has(file), file)
    t.strictSame(reaches(file, /^database\/|store\.ts$|^kysely|^pg$|^node:sqlite$|^argon2$/), [], file)
  }
})

t.test('a route gets to the database through its rules alone', async (t) => {
  const routes = files(/(^|\/)routes\.ts$/)
  t.ok(routes.length >= 2)
  for (const file of routes) t.strictSame(imports(file, /store\.ts$|^database\/|^kysely/), [], file)
})

t.test('queries are written in stores and in database/ alone', async (t) => {
  for (const file of files(/^(?!database\/|.*store\.ts$)/))
    t.strictSame(imports(file, /^(kysely|pg|node:sqlite)/), [], file)
})

t.test('tokens stand below all that uses them', async (t) => {
  const tokens = files(/^tokens\//)
  t.ok(tokens.length >= 8)
  for (const file of tokens)
    t.strictSame(
      reaches(
        file,
        /^(http|accounts|sessions|passwords|admin|audit|throttling|revocations|commands|database)\/|^(app|config|server|cli)\.ts$/,
      ),
      [],
      file,
    )
})

t.test('what other services import brings no server and no database with it', async (t) => {
  const { exports } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
  const dist = ({ default: file = '' }) => /^\.\/dist\/(.*)\.js$/.exec(file)?.[1]
  const exported = Object.values<{ default?: string }>(exports).map(dist)
  t.strictSame(
    exported.filter((file) => file !== undefined).map((file) => `${file}.ts`),
    [...verifiers, client],
  )
  const packages = ['eventsource-parser', 'fast-jwt', 'lru-cache']
  const ofNode = ['node:buffer', 'node:crypto', 'node:timers/promises']
  for (const file of ['verifiers/verifier.ts', 'verifiers/fastify.ts']) {
    t.strictSame(reaches(file, /^(?!.*\.ts$)/).sort(), [...packages, ...ofNode].sort(), file)
  }
  // A guard gets its verifier as an argument; that of a standard Request runs where there is no Node.js.
  for (const file of ['verifiers/express.ts', 'verifiers/web.ts'])
    t.strictSame(reaches(file, /^(?!.*\.ts$)/), [], file)
  t.strictSame(reaches(client, /^(?!client\/)/), [], 'the client stands by itself')
  for (const file of verifiers) {
    t.strictSame(
      reaches(
        file,
        /^(http|accounts|sessions|passwords|admin|audit|throttling|revocations|commands|database)\/|^(app|config|server|cli)\.ts$/,
      ),
      [],
      file,
    )
  }
})

t.test('nothing but the commands imports the process, and nothing imports the command line', async (t) => {
  for (const file of graph.keys()) {
    if (!/^(cli\.ts|commands\/.*)$/.test(file)) t.strictSame(imports(file, /^server\.ts$/), [], file)
    t.strictSame(imports(file, /^cli\.ts$/), [], file)
  }
})

t.test('a process is touched by server.ts, the supervisor and the commands alone', async (t) => {
  for (const file of files(/^(?!server\.ts$|workers\/supervisor\.ts$|cli\.ts$|commands\/)/)) {
    t.notMatch(withoutComments(file), /(?<![.\w])process\.(?!nextTick\b)\w|node:process/, file)
  }
})

function withoutComments(file: string): string {
  return readFileSync(join(src, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}
