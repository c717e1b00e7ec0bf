import fc from 'fast-check'
import t from 'tap'
import { bearerToken, checkRole, checkScope } from '../../src/tokens/bearer.ts'

t.test('the token is what stands behind the scheme', async (t) => {
  for (const header of ['Bearer a.b.c', 'bearer a.b.c', 'BEARER   a.b.c', `Bearer${' '.repeat(16)}a.b.c`]) {
    t.equal(bearerToken(header), 'a.b.c', header)
  }
})

t.test('without a header, or with another scheme, a token is missing', async (t) => {
  for (const header of [undefined, 'Basic YWRhOmxvdmVsYWNl', 'Negotiate', 'Bearerer a.b.c', 'Bear a.b.c']) {
    t.throws(() => bearerToken(header), { code: 'token_missing' }, String(header))
  }
})

t.test('what is no header is a bad request', async (t) => {
  for (const header of [
    '',
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a,Bearer a',
    'Bearer\ta',
    ' Bearer a',
  ]) {
    t.throws(
      () => bearerToken(header),
      { code: 'invalid_request', headers: { 'www-authenticate': /error="invalid_request"/ } },
      JSON.stringify(header),
    )
  }
})

t.test('whatever a header says, it is a token or a problem, and read in no time', async () => {
  const near = fc.array(fc.constantFrom('Bearer', 'bearer', ' ', ',', '\t', 'a.b.c', '\0', 'é', '='))
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        near.map((parts) => parts.join('')),
      ),
      (header) => {
        try {
          return /^[^\s,]+$/.test(bearerToken(header))
        } catch (error) {
          return ['token_missing', 'invalid_request'].includes((error as { code: string }).code)
        }
      },
    ),
    { numRuns: 2_000 },
  )
})

t.test('a role or a scope is there as a whole, or it is named in the refusal', async (t) => {
  t.doesNotThrow(() => checkRole({ roles: ['user', 'admin'] }, 'admin'))
  t.doesNotThrow(() => checkScope({ scope: 'account revocations:read' }, 'revocations:read'))
  for (const roles of [[], ['user'], ['administrator'], ['user admin']]) {
    t.throws(() => checkRole({ roles }, 'admin'), {
      code: 'insufficient_role',
      headers: { 'www-authenticate': /scope="admin"$/ },
    })
  }
  for (const scope of ['', 'revocations', 'revocations:read2', 'account,revocations:read']) {
    t.throws(() => checkScope({ scope }, 'revocations:read'), {
      code: 'insufficient_scope',
      headers: { 'www-authenticate': /scope="revocations:read"$/ },
    })
  }
})
