import t from 'tap'
import { createService, type TestService } from '../helpers/service.ts'

const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

async function idFor({ app }: TestService, given?: string | string[]): Promise<unknown> {
  const headers = given === undefined ? {} : { 'x-request-id': given }
  return (await app.inject({ url: '/livez', headers })).headers['x-request-id']
}

t.test('each request gets an id of its own', async (t) => {
  const service = await createService(t)
  const ids = [await idFor(service), await idFor(service)]
  for (const id of ids) t.match(id, UUID)
  t.equal(new Set(ids).size, 2)
})

t.test('a well-formed X-Request-Id is kept', async (t) => {
  const service = await createService(t)
  for (const id of ['a', 'deploy-7.web_3', '0d6f8a52-1f0c-4a39-9d0e-7f2b9a4c1e55', 'x'.repeat(64)]) {
    t.equal(await idFor(service, id), id)
  }
})

t.test('any other is replaced', async (t) => {
  const service = await createService(t)
  const others = [
    '',
    'x'.repeat(65),
    'a b',
    'a, b',
    'a\tb',
    '{"level":60}',
    '<script>',
    'zo\xeb',
    'a/b',
    '$x',
  ]
  for (const id of [...others, ['a', 'b']]) t.match(await idFor(service, id), UUID, JSON.stringify(id))
})

t.test('the id leads from an answer to the log', async (t) => {
  const service = await createService(t)
  const reply = await service.send('POST', '/auth/login', {
    body: { email: 'nobody@example.com', password: 'whatever it is' },
    headers: { 'x-request-id': 'follow-me' },
  })
  t.equal(reply.json().request_id, 'follow-me')
  t.match(service.events('login_failed'), [{ request_id: 'follow-me' }])
})
