import t from 'tap'
import { createService, type TestService } from '../helpers/service.ts'

async function visit(service: TestService): Promise<string> {
  const { sessionId, accessToken: token } = await service.signUp()
  await service.send('GET', '/me?access_token=hidden', { token, headers: { 'x-request-id': 'visit-1' } })
  await service.send('DELETE', `/account/sessions/${sessionId}?x=hidden`, { token })
  await service.send('GET', '/me', { token })
  await service.send('GET', '/nothing/hidden?x=hidden')
  return sessionId
}

function requestLines({ log }: TestService): Record<string, unknown>[] {
  return log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request')
}

t.test('with LOG_REQUESTS=on each request is one line, with its route and never its URL', async (t) => {
  const service = await createService(t, { env: { LOG_REQUESTS: 'on', LOG_LEVEL: 'info' } })
  const sessionId = await visit(service)
  const lines = requestLines(service)
  t.strictSame(
    lines.map(({ method, route, status }) => [method, route, status]),
    [
      ['POST', '/auth/signup', 201],
      ['GET', '/me', 200],
      ['DELETE', '/account/sessions/:id', 204],
      ['GET', '/me', 401],
      ['GET', undefined, 404],
    ],
  )
  t.equal(lines[1]?.request_id, 'visit-1')
  for (const { duration_ms, level } of lines) {
    t.type(duration_ms, 'number')
    t.equal(level, 30)
  }
  t.notMatch(lines.map((line) => JSON.stringify(line)).join(), /hidden/)
  t.notMatch(lines.map((line) => JSON.stringify(line)).join(), sessionId)
})

t.test('without it there are no such lines', async (t) => {
  for (const env of [{}, { LOG_REQUESTS: 'off' }, { LOG_REQUESTS: '' }]) {
    const service = await createService(t, { env })
    await visit(service)
    t.strictSame(requestLines(service), [])
  }
})
