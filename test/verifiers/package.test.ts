import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { builtPackage, node, tsc } from '../helpers/built-package.ts'
import { alive, answer, CREDENTIAL, startFeedServer, stream, token as told } from '../helpers/feed-server.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { SECRET } from '../helpers/service.ts'

const folder = await builtPackage(t)

const options = JSON.stringify({ secret: SECRET, issuer: 'http://localhost:3000', audience: 'latchkey' })
const claims = goodClaims(Date.now())
const token = handMade(goodHeader, claims)

/** Runs a program in the folder. @returns what it printed, a JSON value a line */
async function run(name: string, program: string): Promise<unknown[]> {
  const file = join(folder, `${name}.mjs`)
  writeFileSync(file, program)
  const stdout = await node('--no-experimental-strip-types', file)
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

t.test('latchkey/verifier verifies, and the process ends when there is nothing left to do', async (t) => {
  const printed = await run(
    'verifier',
    `import { createVerifier, Problem } from 'latchkey/verifier'
    const verify = createVerifier(${options})
    await verify.ready
    console.log(JSON.stringify(verify('${token}')))
    try { verify('x') } catch (error) {
      console.log(JSON.stringify([error instanceof Problem, error.code, error.kind.status]))
    }`,
  )
  t.same(printed, [claims, [true, 'token_invalid', 401]])
})

t.test('a process stays until the feed has told all, and ends when it is closed', async (t) => {
  const { url } = await startFeedServer(t, {
    tokens: [answer(503), answer(503), told],
    streams: [stream([alive()])],
  })
  const feed = JSON.stringify({ url, credential: CREDENTIAL })
  const printed = await run(
    'feed',
    `import { createVerifier } from 'latchkey/verifier'
    const verify = createVerifier({ ...${options}, feed: { ...${feed}, onError: ({ message }) => console.log(JSON.stringify(message)) } })
    await verify.ready
    await verify.close()
    console.log(verify.staleness() < 5)`,
  )
  const refused = 'POST /auth/token answered 503 (no code)'
  t.same(printed, [refused, refused, true])
})

t.test('latchkey/express guards an Express app', async (t) => {
  const printed = await run(
    'express',
    `import express from 'express'
    import { guard } from 'latchkey/express'
    import { createVerifier } from 'latchkey/verifier'
    const verify = createVerifier(${options})
    const app = express()
    app.get('/user', guard(verify, { role: 'user' }), (req, res) => res.json(req.user.sub))
    app.get('/admin', guard(verify, { role: 'admin' }), (req, res) => res.json('never'))
    const server = app.listen(0, async () => {
      for (const path of ['/user', '/admin']) {
        const headers = { authorization: 'Bearer ${token}', connection: 'close' }
        const response = await fetch('http://127.0.0.1:' + server.address().port + path, { headers })
        console.log(JSON.stringify([response.status, await response.json()]))
      }
      server.close()
    })`,
  )
  t.match(printed, [
    [200, claims.sub],
    [403, { code: 'insufficient_role' }],
  ])
})

t.test('latchkey/fastify guards a Fastify app', async (t) => {
  const printed = await run(
    'fastify',
    `import Fastify from 'fastify'
    import latchkey from 'latchkey/fastify'
    const app = Fastify()
    await app.register(latchkey, ${options})
    app.get('/', { onRequest: app.latchkey.guard({ scope: 'account' }) }, ({ user }) => [user.sub])
    for (const authorization of ['Bearer ${token}', 'Bearer x']) {
      const response = await app.inject({ url: '/', headers: { authorization } })
      console.log(JSON.stringify([response.statusCode, response.json()]))
    }`,
  )
  t.match(printed, [
    [200, [claims.sub]],
    [401, { code: 'token_invalid' }],
  ])
})

t.test('latchkey/web guards whatever handles a standard Request', async (t) => {
  const printed = await run(
    'web',
    `import { createVerifier } from 'latchkey/verifier'
    import { guard } from 'latchkey/web'
    const check = guard(createVerifier(${options}))
    function handle(request) {
      const result = check(request)
      if (result instanceof Response) return result
      return Response.json(result.claims.sub)
    }
    for (const headers of [{ authorization: 'Bearer ${token}' }, {}]) {
      const response = handle(new Request('http://localhost/', { headers }))
      console.log(JSON.stringify([response.status, await response.json()]))
    }`,
  )
  t.match(printed, [
    [200, claims.sub],
    [401, { code: 'token_missing' }],
  ])
})

t.test('nothing else of it can be imported', async (t) => {
  const printed = await run(
    'closed',
    `for (const name of ['latchkey', 'latchkey/dist/app.js', 'latchkey/tokens/verifier']) {
      await import(name).then(() => console.log('"imported"'), ({ code }) => console.log(JSON.stringify(code)))
    }
    console.log(JSON.stringify((await import('latchkey/package.json', { with: { type: 'json' } })).default.name))`,
  )
  t.match(printed, [
    'ERR_PACKAGE_PATH_NOT_EXPORTED',
    'ERR_PACKAGE_PATH_NOT_EXPORTED',
    'ERR_PACKAGE_PATH_NOT_EXPORTED',
    'latchkey',
  ])
})

const consumer = `
import express from 'express'
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import { guard as expressGuard } from 'latchkey/express'
import latchkey, { type LatchkeyOptions } from 'latchkey/fastify'
import { type Claims, createVerifier, type FeedError, Problem, type ProblemCode, type Verifier } from 'latchkey/verifier'
import { guard as webGuard } from 'latchkey/web'

const feed = {
  url: 'https://auth.example.com',
  credential: 'lkc_x',
  fetch,
  onError: (error: FeedError) => console.error(error.message),
}
const verify: Verifier = createVerifier({ secret: 'x', issuer: 'i', audience: 'a', feed, maxStaleness: 10 })
await verify.ready
const claims: Claims = verify('x')
const seconds: number = verify.staleness()
try {
  verify('x')
} catch (error) {
  if (error instanceof Problem) {
    const code: ProblemCode = error.code
    console.log(code, claims.roles.includes('user'), seconds)
  }
}

const app = express()
app.use('/orders', expressGuard(verify, { role: 'user' }))
app.get('/', expressGuard(verify), (req, res) => {
  res.json(req.user?.sub.toUpperCase())
})

const options: LatchkeyOptions = { verifier: verify }
const fastify = Fastify()
await fastify.register(latchkey, options)
await fastify.register(latchkey, { secret: 'x', issuer: 'i', audience: 'a' })
fastify.get('/', { onRequest: fastify.latchkey.guard({ scope: 's' }) }, (request) => request.user.sub.toUpperCase())
fastify.addHook('onRequest', fastify.latchkey.guard())

// Apps of other types: another logger, another server, typed routes.
const logged = Fastify({ loggerInstance: console as unknown as FastifyBaseLogger & { own: true } })
await logged.register(latchkey, options)
logged.get('/', { onRequest: logged.latchkey.guard() }, ({ user }) => user.sub)
logged.get<{ Reply: { 200: { id: number } } }>('/typed', { onRequest: [logged.latchkey.guard()] }, () => ({ id: 1 }))
const http2 = Fastify({ http2: true })
await http2.register(latchkey, options)
http2.addHook('onRequest', http2.latchkey.guard())
http2.get('/', { onRequest: http2.latchkey.guard() }, ({ user }) => user.sub)
export function routes(app: FastifyInstance): void {
  app.addHook('onRequest', app.latchkey.guard({ role: 'admin' }))
}

const check = webGuard((token) => verify(token), { scope: 's' })
export function handle(request: Request): Response {
  const result = check(request)
  return result instanceof Response ? result : Response.json(result.claims.sub.toUpperCase())
}
// @ts-expect-error It is synchronous.
verify('x').then()
// @ts-expect-error Claims are frozen.
claims.roles.push('admin')
// @ts-expect-error An audience is needed.
createVerifier({ secret: 'x', issuer: 'i' })
`

t.test('a service compiles against its types, strictly and less so', async (t) => {
  const project = join(folder, 'consumer')
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ type: 'module' }))
  writeFileSync(join(project, 'service.ts'), consumer)
  const base = { strict: true, noEmit: true, target: 'es2022', module: 'nodenext', types: ['node'] }
  for (const differing of [
    { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true },
    { exactOptionalPropertyTypes: false, skipLibCheck: true },
    { module: 'preserve', moduleResolution: 'bundler', skipLibCheck: true },
    { lib: ['es2022', 'dom', 'dom.iterable'], skipLibCheck: true },
    { skipLibCheck: false },
  ]) {
    const config = { compilerOptions: { ...base, ...differing }, files: ['service.ts'] }
    const file = join(project, 'tsconfig.json')
    writeFileSync(file, JSON.stringify(config))
    await tsc('-p', file).catch(({ stdout }) => t.fail(`${JSON.stringify(differing)}: ${stdout}`))
  }
})
