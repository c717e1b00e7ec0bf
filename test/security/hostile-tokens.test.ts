import t from 'tap'
import { hostileTokens } from '../helpers/hostile-tokens.ts'
import { createService } from '../helpers/service.ts'

t.test('no hostile token gets in, and none is an error of the service', async (t) => {
  const service = await createService(t)
  service.clock.advance(-(service.clock() % 1_000))
  const { good, claims, table } = hostileTokens(service.clock())
  const letIn = async () =>
    (await service.send('GET', '/me', { headers: { authorization: `Bearer ${good}` } })).json().sub

  t.equal(await letIn(), claims.sub, 'the token that they are made from gets in')
  for (const [why, token, code = 'token_invalid'] of table) {
    const reply = await service.send('GET', '/me', { headers: { authorization: `Bearer ${token}` } })
    const error = code === 'invalid_request' ? 'invalid_request' : 'invalid_token'
    const challenge = String(reply.headers['www-authenticate'])
    const { status, detail } = reply.json()
    t.strictSame(
      { status: reply.statusCode, inBody: status, code: reply.json().code },
      { status: error === 'invalid_token' ? 401 : 400, inBody: reply.statusCode, code },
      why,
    )
    t.equal(
      challenge,
      `Bearer realm="latchkey", error="${error}", error_description="${detail}"`,
      `${why}: challenge`,
    )
    t.notOk(
      token.length > 40 && reply.body.includes(token.slice(0, 40)),
      `${why}: the answer doesn't repeat it`,
    )
  }
  t.equal(await letIn(), claims.sub, 'and still does after them')
  t.notOk(
    service.log.some((line) => JSON.parse(line).level >= 50),
    'nothing is logged as an error',
  )
})
