import { globSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { init, parse } from 'es-module-lexer'
import t from 'tap'
import { startCollector } from '../helpers/otlp.ts'
import { startCli, startServer } from '../helpers/process.ts'

const ENDPOINT = 'http://127.0.0.1:4318'

/** NODE_OPTIONS with which a process says on standard error what it loads of OpenTelemetry, but for the API: the client
 * of Prometheus comes with that. */
const watching = preload(`load(url, context, next) {
  if (/@opentelemetry.(?!api)/.test(url)) process.stderr.write('loads ' + url + '\\n')
  return next(url, context)
}`)

/** NODE_OPTIONS with which a process finds nothing else of it, as where it isn't installed. */
const missing = preload(`resolve(specifier, context, next) {
  return next(specifier.replace(/^@opentelemetry\\/(?!api$)/, '@opentelemetry-that-is-not-there/'), context)
}`)

function preload(hook: string): string {
  const text = `import { registerHooks } from 'node:module'; registerHooks({ ${hook} })`
  return `--import data:text/javascript,${encodeURIComponent(text)}`
}

t.test('nothing of OpenTelemetry is loaded where there are no traces', async (t) => {
  for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }]) {
    const server = await startServer(t, { env: { NODE_OPTIONS: watching, LOG_REQUESTS: 'on', ...env } })
    await fetch(`${server.url}/livez`)
    server.child.kill('SIGTERM')
    t.match(await server.ended(), { code: 0 })
    t.equal(server.stderr(), '')
    t.notMatch(server.stdout(), /trace_id/)
  }
  const collector = await startCollector(t)
  const env = { NODE_OPTIONS: watching, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url }
  const server = await startServer(t, { env })
  server.child.kill('SIGTERM')
  t.match(await server.ended(), { code: 0 })
  t.match(server.stderr(), /loads .*@opentelemetry\/sdk-trace/, 'and it would have been seen')
})

t.test('no import that is not dynamic leads to it', async (t) => {
  await init()
  const src = fileURLToPath(new URL('../../src/', import.meta.url))
  const reached = new Set<string>()
  const packages = new Set<string>()

  function follow(file: string): void {
    if (reached.has(file)) return
    reached.add(file)
    for (const { specifier, type } of parse(stripTypeScriptTypes(readFileSync(join(src, file), 'utf8')))[0]) {
      if (typeof specifier !== 'string' || type === 'dynamic') continue
      if (specifier.startsWith('.')) follow(normalize(join(dirname(file), specifier)))
      else packages.add(specifier)
    }
  }

  // The command line loads the server once it is to serve.
  for (const file of ['cli.ts', 'server.ts']) follow(file)
  t.ok(reached.has('tracing/tracing.ts'))
  t.ok(packages.has('fastify'))
  t.strictSame(
    [...packages].filter((name) => name.startsWith('@opentelemetry')),
    [],
  )
  const importing = globSync('**/*.ts', { cwd: src }).filter((file) =>
    /^import (?!type).*'@opentelemetry/m.test(stripTypeScriptTypes(readFileSync(join(src, file), 'utf8'))),
  )
  t.ok(importing.length > 0)
  t.ok(importing.every((file) => file.startsWith('tracing/')))
})

t.test('packages that are missing stop the start, in one line that says which', async (t) => {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: ENDPOINT, NODE_OPTIONS: missing }
  const cli = startCli(t, ['serve'], { env })
  t.match(await cli.ended(), { code: 1 })
  t.equal(
    cli.stderr(),
    "latchkey: OTEL_EXPORTER_OTLP_ENDPOINT: OpenTelemetry can't be loaded (ERR_MODULE_NOT_FOUND): " +
      'npm ci installs it, but not with --omit=optional or below Node.js 24\n',
  )
  t.equal(cli.stdout(), '', 'before anything is opened')
  t.match(
    await startServer(t, { env: { NODE_OPTIONS: missing } }),
    { url: /^http/ },
    'without traces it starts',
  )
})
