import fc from 'fast-check'
import type { InjectOptions } from 'fastify'
import t from 'tap'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

const routes = [
  'POST /auth/signup',
  'POST /auth/login',
  'POST /auth/refresh',
  'POST /auth/logout',
  'GET /me',
  'GET /account',
  'PATCH /account',
  'PUT /account/password',
  'DELETE /account',
  'GET /account/sessions',
  'DELETE /account/sessions/',
  'GET /livez',
  'GET /readyz',
  'GET /openapi.json',
  'POST /nothing',
]

// What a socket lets through: Node's parser refuses control characters, and reads the rest as latin1.
const headerText = fc
  .array(fc.integer({ min: 0x20, max: 0xff }), { maxLength: 300 })
  .map((codes) => String.fromCharCode(...codes.filter((code) => code !== 0x7f)))
const headers = fc.dictionary(
  fc.constantFrom(
    'x-request-id',
    'user-agent',
    'x-forwarded-for',
    'accept',
    'host',
    'origin',
    'expect',
    'cookie',
    'latchkey-transport',
  ),
  headerText,
)
const authorization = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  headerText,
  headerText.map((text) => `Bearer ${text}`),
  fc.stringMatching(/^Bearer [\w-]{1,40}\.[\w-]{1,60}\.[\w-]{43}$/),
)
const contentType = fc.oneof(
  { weight: 6, arbitrary: fc.constant('application/json') },
  headerText,
  fc.constantFrom('text/plain', 'application/json; charset=utf-16', 'multipart/form-data'),
)

// What databases, JSON and terminals each have their own opinion of.
const odd = fc.constantFrom('\0', '\ud800', '\udfff', '\ufeff', '\u202e', "'", '"', '\\', '%', '@', '\n')
const character = fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), odd)
const text = fc.string({ unit: character, maxLength: 140 })
const field = fc.oneof(text, fc.jsonValue(), fc.constantFrom(PASSWORD, 'ada@example.com', 'this', null))
const plausible = fc.record(
  {
    email: fc.oneof(
      fc.emailAddress(),
      text.map((text) => `${text}@example.com`),
      field,
    ),
    password: field,
    name: fc.oneof(text, field),
    current_password: field,
    new_password: field,
    refresh_token: fc.oneof(fc.stringMatching(/^lkr_[\w-]{86}$/), field),
    scope: field,
    transport: fc.oneof(fc.constantFrom('body', 'cookie'), field),
  },
  { requiredKeys: [] },
)
// What comes further than the schemas, but for one field.
const nearlyRight = fc.oneof(
  fc.record({ email: fc.emailAddress(), password: fc.constant(PASSWORD), name: text }),
  fc.record({ email: fc.emailAddress(), password: text }),
  fc.record({ email: text.map((text) => `${text}@example.com`), password: fc.constant(PASSWORD) }),
  fc.record({ name: text }),
  fc.record({ email: fc.emailAddress(), current_password: text, name: text }),
  fc.record({ email: text.map((text) => `a@${text}.com`), current_password: fc.constant(PASSWORD) }),
  fc.record({ current_password: fc.constant(PASSWORD), new_password: text }),
)
const body: fc.Arbitrary<string | Buffer> = fc.oneof(
  { weight: 4, arbitrary: nearlyRight.map((object) => JSON.stringify(object)) },
  plausible.map((object) => JSON.stringify(object)),
  fc.json(),
  text,
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
)
const id = fc.oneof(fc.uuid(), fc.string({ unit: 'grapheme', maxLength: 60 }), fc.string({ maxLength: 300 }))

for (const database of databases) {
  t.test(`no header and no body makes the service fail, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    let { accessToken } = await service.signUp()
    const statuses = new Set<number>()

    const property = fc.asyncProperty(
      fc.constantFrom(...routes),
      fc.record({ headers, authorization, contentType, body, id }),
      async (route, input) => {
        const [method, path = ''] = route.split(' ')
        const reply = await service.app.inject({
          method: method as 'POST',
          url: path.endsWith('/') ? path + encodeURIComponent(input.id) : path,
          headers: {
            ...input.headers,
            authorization: input.authorization ?? `Bearer ${accessToken}`,
            ...(method === 'GET' ? {} : { 'content-type': input.contentType }),
          },
          ...(method === 'GET' ? {} : { payload: input.body }),
        } satisfies InjectOptions)
        statuses.add(reply.statusCode)
        // It may have signed itself out.
        if (reply.statusCode === 204) accessToken = (await service.signUp()).accessToken
        return reply.statusCode < 500
      },
    )
    await t.resolves(fc.assert(property, { numRuns: 1_000 }))
    t.ok(statuses.size > 4, `the answers were ${[...statuses].sort().join(', ')}`)
    t.strictSame(
      service.log.filter((line) => JSON.parse(line).level >= 40),
      [],
    )
  })
}

t.test('no path makes the service fail', async (t) => {
  const { app } = await createService(t)
  const path = fc.oneof(fc.webPath(), fc.stringMatching(/^(\/[!-~]{0,20}){1,5}$/)).map((path) => `/${path}`)
  const property = fc.asyncProperty(path, fc.constantFrom('GET', 'POST', 'TRACE'), async (url, method) => {
    const { statusCode } = await app.inject({ method: method as 'GET', url })
    return statusCode < 500
  })
  await t.resolves(fc.assert(property, { numRuns: 300 }))
})
