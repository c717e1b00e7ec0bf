import t from 'tap'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(`a token for what is no account here is let in to its claims alone, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    for (const ids of [{ sub: 'service-7' }, { sub: 'a\u0000b' }, { sid: 'x' }]) {
      const token = handMade(goodHeader, { ...goodClaims(service.clock()), ...ids })
      t.equal((await service.send('GET', '/me', { token })).statusCode, 200)
      for (const [method, path, body] of [
        ['GET', '/account', undefined],
        ['GET', '/account/sessions', undefined],
        ['PATCH', '/account', { name: 'Ada' }],
        ['PUT', '/account/password', { current_password: PASSWORD, new_password: PASSWORD }],
        ['DELETE', '/account', { current_password: PASSWORD }],
        ['DELETE', '/account/sessions/019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071', undefined],
        ['POST', '/auth/logout', undefined],
      ] as const) {
        isProblem(t, await service.send(method, path, { token, body }), 'token_invalid')
      }
    }
  })
}
