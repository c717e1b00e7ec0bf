import t from 'tap'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createMint, type Subject } from '../../src/tokens/mint.ts'
import { deriveSecret, kidOf } from '../../src/tokens/secrets.ts'
import { SECRET_BYTES } from '../helpers/hand-made-tokens.ts'

const parties = { issuer: 'https://id.example', audience: 'example' }
const NOW = Date.UTC(2026, 0, 31, 9, 30) + 250
const SECOND = Math.floor(NOW / 1_000)
const keyring = await createKeyring([SECRET_BYTES], { ...parties, otherAudiences: ['billing'] })

function mint(subject: Partial<Subject> = {}, ttl = 600) {
  const whole = {
    accountId: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071',
    sessionId: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6072',
    roles: ['user'],
    scopes: ['account'],
    audience: 'example',
    sessionExpiresAt: NOW + 86_400_000,
    ...subject,
  }
  const access = createMint(keyring, parties, ttl)(whole, NOW)
  const [header, claims] = access.token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  return { ...access, header: JSON.parse(header as string), claims: JSON.parse(claims as string) }
}

t.test('the header is exactly alg, typ and kid', async (t) => {
  t.strictSame(mint().header, { alg: 'HS256', typ: 'at+jwt', kid: kidOf(SECRET_BYTES) })
})

t.test('the claims are exactly those of the contract', async (t) => {
  const { claims, expiresIn, scope } = mint({ roles: ['user', 'admin'], scopes: ['account', 'admin'] })
  t.match(claims.jti, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.strictSame(claims, {
    iss: 'https://id.example',
    aud: 'example',
    sub: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071',
    sid: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6072',
    jti: claims.jti,
    iat: SECOND,
    exp: SECOND + 600,
    roles: ['user', 'admin'],
    scope: 'account admin',
  })
  t.equal(expiresIn, 600)
  t.equal(scope, claims.scope)
})

t.test('a token for another audience names it, and the secret that was derived for it', async (t) => {
  const { header, claims } = mint({ audience: 'billing' })
  t.equal(claims.aud, 'billing')
  t.equal(claims.iss, 'https://id.example')
  t.equal(header.kid, kidOf(deriveSecret(SECRET_BYTES, 'billing')))
  t.throws(() => mint({ audience: 'shop' }), { message: 'no key signs for the audience' })
})

t.test('a token without a scope says so', async (t) => {
  const { claims, scope } = mint({ scopes: [] })
  t.equal(claims.scope, '')
  t.equal(scope, '')
})

t.test('two tokens of the same second are two', async (t) => {
  const [one, two] = [mint(), mint()]
  t.not(one.claims.jti, two.claims.jti)
  t.not(one.token, two.token)
})

t.test('a token never outlives its session, to the second', async (t) => {
  const end = (seconds: number) => mint({ sessionExpiresAt: (SECOND + seconds) * 1_000 })
  for (const [seconds, life] of [
    [601, 600],
    [600, 600],
    [599, 599],
    [60, 60],
    [1, 1],
  ] as const) {
    t.equal(end(seconds).claims.exp, SECOND + life, `${seconds} s before the session's end`)
    t.equal(end(seconds).expiresIn, life)
  }
  // exp is in whole seconds: the second that the session ends in is the token's last.
  t.equal(mint({ sessionExpiresAt: NOW + 1 }).claims.exp, SECOND + 1)
})

t.test('a token of 2 KiB is minted, a longer one fails loudly', async (t) => {
  const roles = (characters: number) => ['x'.repeat(characters)]
  const longest = Array.from({ length: 2_000 }, (_, n) => n).findLast((n) => {
    try {
      return mint({ roles: roles(n) }).token.length > 0
    } catch {
      return false
    }
  }) as number
  t.ok(mint({ roles: roles(longest) }).token.length > 2_048 - 4)
  t.ok(mint({ roles: roles(longest) }).token.length <= 2_048)
  t.throws(() => mint({ roles: roles(longest + 1) }), {
    message: /^an access token of 20\d\d bytes is over the limit of 2048$/,
  })
})
