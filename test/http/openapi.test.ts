import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createConfig, lint } from '@redocly/openapi-core'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { Problem, type ProblemCode } from '../../src/problem.ts'
import { createRefusals } from '../../src/throttling/refusals.ts'
import { openapiYaml } from '../helpers/openapi-yaml.ts'
import { createService, PASSWORD } from '../helpers/service.ts'

interface Operation {
  readonly operationId: string
  readonly summary: string
  readonly tags: readonly string[]
  readonly security: readonly object[]
  readonly parameters?: readonly { readonly name: string; readonly schema: { readonly example?: string } }[]
  readonly requestBody?: {
    readonly required: boolean
    readonly content: { readonly 'application/json': { readonly schema: { readonly $ref: string } } }
  }
  readonly responses: Readonly<Record<string, Response>>
}

interface Response {
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>
  readonly content?: Readonly<Record<string, Content>>
}

interface Content {
  readonly schema: { readonly $ref: string }
  readonly examples?: Readonly<Record<string, { readonly $ref: string }>>
}

interface Schema {
  readonly properties: Readonly<Record<string, Record<string, unknown>>>
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly headers: Readonly<Record<string, { readonly example: string | number }>>
    readonly examples: Readonly<Record<string, { readonly value: { code: string; status: number } }>>
  }
}

const committed = fileURLToPath(new URL('../../openapi.yaml', import.meta.url))
const yaml = await openapiYaml()
const document: Document = parse(yaml)
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
)

t.test('openapi.yaml is what the routes give: `npm run openapi` writes it', async (t) => {
  t.equal(readFileSync(committed, 'utf8'), yaml)
})

t.test('it passes the recommended rules, with no warning', async (t) => {
  const config = await createConfig({ extends: ['recommended'] })
  const faults = async (ref: string) => (await lint({ ref, config })).map(({ message }) => message)
  t.strictSame(await faults(committed), [])

  const broken = join(t.testdir(), 'openapi.yaml')
  writeFileSync(broken, yaml.replace(/operationId: .*/, 'operationId: logIn'))
  t.not((await faults(broken)).length, 0, 'and the rules do find something')
})

t.test('the service serves the same document', async (t) => {
  const { app } = await createService(t)
  for (let again = 0; again < 2; again++) {
    const reply = await app.inject('/openapi.json')
    t.equal(reply.statusCode, 200)
    t.match(reply.headers['content-type'], /^application\/json/)
    t.strictSame(reply.json(), document)
  }
})

t.test('every route is in it, but for the document itself and the page to read it on', async (t) => {
  const { app } = await createService(t, { env: { DOCS: 'off' } })
  const documented = operations.map(({ method, path }) => `${method} ${path}`)
  t.strictSame(
    routesOf(app.printRoutes({ commonPrefix: false })),
    [...documented, 'GET /openapi.json'].sort(),
  )
})

t.test('every operation says what it is, and shows examples', async (t) => {
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length)
  for (const { method, path, operation } of operations) {
    t.match(operation, { operationId: /^[a-z]\w+$/, summary: /\w/ }, `${method} ${path}`)
    t.equal(operation.tags.length, 1)
    for (const { schema } of operation.parameters ?? []) t.ok(schema.example)
    const body = operation.requestBody?.content['application/json'].schema.$ref
    if (body !== undefined) showsExamples(t, body)

    for (const [status, { content = {} }] of Object.entries(operation.responses)) {
      const { 'application/json': success, 'application/problem+json': problem } = content
      if (success !== undefined) showsExamples(t, success.schema.$ref)
      if (Number(status) < 400) continue
      t.equal(problem?.schema.$ref, '#/components/schemas/Problem')
      const examples = Object.entries(problem?.examples ?? {})
      t.not(examples.length, 0)
      for (const [code, { $ref }] of examples) {
        t.equal($ref, `#/components/examples/${code}`)
        t.match(document.components.examples[code]?.value, { code, status: Number(status) })
      }
    }
  }
})

t.test('what holds back who guesses is documented where it does', async (t) => {
  const throttled = operations.filter(({ operation }) => operation.responses[429])
  t.strictSame(throttled.map(({ method, path }) => `${method} ${path}`).sort(), [
    'DELETE /account',
    'PATCH /account',
    'POST /auth/login',
    'POST /auth/refresh',
    'POST /auth/signup',
    'POST /auth/token',
    'PUT /account/password',
  ])
})

t.test('a problem has the headers that it is answered with', async (t) => {
  for (const { method, path, operation } of operations) {
    for (const [status, { headers = {}, content }] of Object.entries(operation.responses)) {
      const codes = Object.keys(content?.['application/problem+json']?.examples ?? {}) as ProblemCode[]
      if (codes.length === 0) continue
      const carried = codes.flatMap((code) => Object.keys(thrown(code).headers))
      t.strictSame(
        Object.keys(headers)
          .map((name) => name.toLowerCase())
          .sort(),
        [...new Set(carried)].sort(),
        `${method} ${path}: ${status}`,
      )
      for (const [name, { $ref }] of Object.entries(headers)) t.equal($ref, `#/components/headers/${name}`)
    }
  }
})

t.test('what is made is told where it is', async (t) => {
  const { app } = await createService(t)
  const payload = { email: 'ada@example.com', password: PASSWORD }
  const reply = await app.inject({ method: 'POST', url: '/auth/signup', payload })
  const making = operations.filter(({ operation }) => operation.responses[201]?.headers?.Location)
  t.strictSame(
    making.map(({ path }) => path),
    ['/auth/signup'],
  )
  t.equal(reply.headers.location, document.components.headers.Location?.example)
})

t.test('what it calls guarded is guarded, and nothing else', async (t) => {
  const { app } = await createService(t)
  for (const { method, path, operation } of operations) {
    const reply = await app.inject({ method: method as 'GET', url: path })
    const guarded = operation.security.some((scheme) => Object.hasOwn(scheme, 'accessToken'))
    t.equal(reply.statusCode === 401, guarded, `${method} ${path} ${guarded ? 'is' : 'is not'} guarded`)
    t.ok(operation.responses[reply.statusCode], `${reply.statusCode} is documented`)
    if (guarded) t.equal(reply.json().code, 'token_missing')
  }
  t.strictSame(
    operations.filter(({ operation }) => operation.security.length === 0).map(({ path }) => path),
    ['/livez', '/readyz', '/metrics', '/auth/login', '/auth/refresh', '/auth/token', '/auth/signup'],
  )
})

t.test('a body is required where a request without one is refused', async () => {
  const optional = operations.filter(({ operation }) => operation.requestBody?.required === false)
  t.strictSame(
    optional.map(({ path }) => path),
    ['/auth/logout'],
  )
})

// A problem as it is thrown: the throttle's says how long to wait.
function thrown(code: ProblemCode): Problem {
  if (code !== 'too_many_attempts') return new Problem(code)
  try {
    return createRefusals(20, Date.now).refuse('address', 'a', Date.now() + 8_000)
  } catch (error) {
    return error as Problem
  }
}

// Each field of an object has an example, unless its schema leaves no choice or names another schema.
function showsExamples(t: Test, $ref: string): void {
  const name = $ref.replace('#/components/schemas/', '')
  const { properties } = document.components.schemas[name] as Schema
  for (const [field, schema] of Object.entries(properties)) {
    t.match(
      JSON.stringify(schema),
      /"(example|enum|const|\$ref)":|boolean/,
      `${name}.${field} shows an example`,
    )
  }
}

// Reads Fastify's tree, in which each level is indented by four characters.
function routesOf(tree: string): string[] {
  const routes: string[] = []
  const parents: string[] = []
  for (const line of tree.split('\n')) {
    const match = /^([│ ]*)[├└]── (.*?)(?: \((.*)\))?$/.exec(line)
    if (match === null) continue
    const [, indent = '', segment = '', methods = ''] = match
    parents.length = indent.length / 4
    parents.push(segment)
    const path = parents.join('').replace(/:(\w+)/g, '{$1}')
    for (const method of methods.split(', ')) {
      if (method !== '' && method !== 'HEAD') routes.push(`${method} ${path}`)
    }
  }
  return routes.sort()
}
