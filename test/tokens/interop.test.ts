import { createVerifier as createFastJwtVerifier, createSigner } from 'fast-jwt'
import { jwtVerify, SignJWT } from 'jose'
import jsonwebtoken from 'jsonwebtoken'
import t from 'tap'
import { goodClaims, goodHeader, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { createService } from '../helpers/service.ts'

type GoodClaims = ReturnType<typeof goodClaims>

const { alg, typ, kid } = goodHeader
const issuer = 'http://localhost:3000'
const audience = 'latchkey'

const libraries: Record<
  string,
  {
    verify(token: string): Promise<Record<string, unknown>>
    sign(claims: GoodClaims): Promise<string>
  }
> = {
  jose: {
    async verify(token) {
      const options = { algorithms: [alg], typ, issuer, audience }
      return { ...(await jwtVerify(token, SECRET_BYTES, options)).payload }
    },
    sign: (claims) => new SignJWT(claims).setProtectedHeader({ alg, typ, kid }).sign(SECRET_BYTES),
  },
  jsonwebtoken: {
    async verify(token) {
      const options = { algorithms: ['HS256' as const], issuer, audience }
      return jsonwebtoken.verify(token, SECRET_BYTES, options) as Record<string, unknown>
    },
    sign: async (claims) => jsonwebtoken.sign(claims, SECRET_BYTES, { header: { alg, typ, kid } }),
  },
  'fast-jwt': {
    async verify(token) {
      const options = {
        algorithms: ['HS256' as const],
        checkTyp: typ,
        allowedIss: issuer,
        allowedAud: audience,
      }
      return createFastJwtVerifier({ key: SECRET_BYTES, ...options })(token)
    },
    sign: async (claims) =>
      createSigner({ key: SECRET_BYTES, algorithm: 'HS256', header: { alg, typ, kid } })(claims),
  },
}

for (const [name, library] of Object.entries(libraries)) {
  t.test(`a token that is minted here verifies with ${name}`, async (t) => {
    const service = await createService(t)
    const { accessToken, accountId, sessionId } = await service.signUp()
    t.match(await library.verify(accessToken), { sub: accountId, sid: sessionId, scope: 'account' })
    await t.rejects(library.verify(accessToken.replace(/^eyJ/, 'eyK')), 'one that was changed does not')
  })

  t.test(`a token that ${name} makes with the same header and claims is let in`, async (t) => {
    const service = await createService(t)
    const claims = goodClaims(service.clock())
    const me = await service.send('GET', '/me', { token: await library.sign(claims) })
    t.equal(me.statusCode, 200, me.body)
    t.strictSame(me.json(), claims)
  })
}
