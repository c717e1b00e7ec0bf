import fc from 'fast-check'
import t from 'tap'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { createService } from '../helpers/service.ts'

t.test('a token in which any one character is another is refused', async (t) => {
  const service = await createService(t)
  const { accessToken } = await service.signUp()
  const position = fc.nat({ max: accessToken.length - 1 })
  const anyOther = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
  await fc.assert(
    fc.asyncProperty(position, anyOther, async (at, character) => {
      fc.pre(accessToken[at] !== character)
      const changed = accessToken.slice(0, at) + character + accessToken.slice(at + 1)
      const reply = await service.send('GET', '/me', { token: changed })
      // A comma makes two fields of it, which is no Bearer header.
      return reply.statusCode === (character === ',' ? 400 : 401)
    }),
    { numRuns: 300 },
  )
  t.equal((await service.send('GET', '/me', { token: accessToken })).statusCode, 200)
})

t.test('a token in which any one bit is flipped is refused', async (t) => {
  const service = await createService(t)
  const { accessToken } = await service.signUp()
  for (let at = 0; at < accessToken.length; at++) {
    const flipped = String.fromCharCode(accessToken.charCodeAt(at) ^ 1)
    const changed = accessToken.slice(0, at) + flipped + accessToken.slice(at + 1)
    const reply = await service.send('GET', '/me', { token: changed })
    // One flip makes a comma of a minus, which is no Bearer header.
    if (reply.statusCode !== (flipped === ',' ? 400 : 401)) t.fail(`position ${at}: ${reply.statusCode}`)
  }
  t.equal((await service.send('GET', '/me', { token: accessToken })).statusCode, 200)
})

t.test('whatever stands in Authorization, the answer is 400 or 401 with a challenge', async (t) => {
  const service = await createService(t)
  const scheme = fc.constantFrom('', 'Bearer ', 'bearer  ', 'Basic ', 'Bearer', 'Bearer\t')
  const rest = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.base64String(),
    fc.stringMatching(/^[\w.-]{0,200}$/),
  )
  await fc.assert(
    fc.asyncProperty(scheme, rest, async (before, after) => {
      const reply = await service.send('GET', '/me', { headers: { authorization: before + after } })
      const { statusCode, headers } = reply
      return (
        (statusCode === 400 || statusCode === 401) &&
        String(headers['www-authenticate']).startsWith('Bearer realm="latchkey"')
      )
    }),
    { numRuns: 300 },
  )
})

t.test('whatever a signed payload says, it is let in or answered 401', async (t) => {
  const service = await createService(t)
  const names = Object.keys(goodClaims(0))
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names, 'nbf', 'x'), fc.jsonValue(), async (name, value) => {
      const token = handMade(goodHeader, { ...goodClaims(service.clock()), [name]: value })
      const { statusCode } = await service.send('GET', '/me', { token })
      return statusCode === 200 || statusCode === 401
    }),
    { numRuns: 300 },
  )
})

t.test('whatever a signed header says besides, the token is refused', async (t) => {
  const service = await createService(t)
  const name = fc.oneof(
    fc.string({ minLength: 1 }),
    fc.constantFrom('crit', 'b64', 'zip', 'jwk', 'alg', 'typ', 'kid'),
  )
  await fc.assert(
    fc.asyncProperty(name, fc.jsonValue(), async (name, value) => {
      const header = { ...goodHeader, [name]: value }
      fc.pre(JSON.stringify(header) !== JSON.stringify(goodHeader))
      const token = handMade(header, goodClaims(service.clock()))
      return (await service.send('GET', '/me', { token })).statusCode === 401
    }),
    { numRuns: 300 },
  )
})
