import t from 'tap'
import { deriveSecret, formatSecret, generateSecret, parseSecrets } from '../../src/tokens/secrets.ts'
import { createVerifier, Problem, type VerifierOptions } from '../../src/verifiers/verifier.ts'
import { CREDENTIAL } from '../helpers/feed-server.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { createService, SECRET } from '../helpers/service.ts'

const options = { secret: SECRET, issuer: 'http://localhost:3000', audience: 'latchkey' }
const token = () => handMade(goodHeader, goodClaims(Date.now()))

t.test('a token of the service is let in, and its claims are frozen', async (t) => {
  const service = await createService(t)
  const { accessToken, accountId, sessionId } = await service.signUp()
  const claims = createVerifier(options)(accessToken)
  t.match(claims, { sub: accountId, sid: sessionId, roles: ['user'], scope: 'account' })
  t.same(claims, (await service.send('GET', '/me', { token: accessToken })).json())
  t.ok(Object.isFrozen(claims) && Object.isFrozen(claims.roles))
})

t.test('what is refused is a Problem with the code of the API', async (t) => {
  const verify = createVerifier({ ...options, clock: () => Date.now() + 3_600_000 })
  t.throws(() => verify('x'), { name: 'Problem', code: 'token_invalid' })
  t.throws(() => verify(token()), { code: 'token_expired' })
  try {
    verify('x')
  } catch (error) {
    t.ok(error instanceof Problem)
  }
})

t.test('the secret is text as JWT_SECRET has it, or bytes, one or several', async (t) => {
  const other = generateSecret()
  const bytes = new Uint8Array(SECRET_BYTES)
  const lists = [SECRET, `${other},${SECRET}`, SECRET_BYTES, bytes, [bytes], [...parseSecrets(other), bytes]]
  for (const secret of lists) t.equal(createVerifier({ ...options, secret })(token()).aud, 'latchkey')
  t.throws(() => createVerifier({ ...options, secret: other })(token()), { code: 'token_invalid' })
})

t.test('a derived secret lets in the tokens that were asked for its audience', async (t) => {
  const service = await createService(t, { env: { JWT_OTHER_AUDIENCES: 'billing' } })
  const { refreshToken } = await service.signUp()
  const body = { refresh_token: refreshToken, audience: 'billing' }
  const { access_token } = (await service.send('POST', '/auth/refresh', { body })).json()
  const secret = formatSecret(deriveSecret(SECRET_BYTES, 'billing'))
  t.equal(createVerifier({ ...options, secret, audience: 'billing' })(access_token).aud, 'billing')
  t.throws(() => createVerifier(options)(access_token), { code: 'token_invalid' })
})

t.test('without a feed there is nothing to wait for', async (t) => {
  const verify = createVerifier(options)
  await verify.ready
  t.equal(verify.staleness(), 0)
  await verify.close()
  t.equal(verify(token()).aud, 'latchkey')
})

t.test('options that cannot be right are refused at once, and nothing of the secret is said', async (t) => {
  const feed = { url: 'http://localhost:3000', credential: CREDENTIAL }
  const wrong: [Partial<Record<keyof VerifierOptions, unknown>>, RegExp][] = [
    [{ secret: 'short but mine' }, /^secret needs at least 32 bytes/],
    [{ secret: Buffer.alloc(32) }, /^secret has too little variety/],
    [{ secret: Buffer.from('short but mine') }, /^secret needs at least 32 bytes/],
    [{ secret: [] }, /^secret needs at least 32 bytes/],
    [{ secret: [SECRET_BYTES, SECRET_BYTES] }, /^secret lists the same secret twice/],
    [{ secret: '-----BEGIN PUBLIC KEY----- short but mine' }, /^secret is a key file/],
    [{ issuer: undefined }, /^issuer must be a string/],
    [{ issuer: '' }, /^issuer must be a string/],
    [{ audience: ['latchkey'] }, /^audience must be a string/],
    [{ maxStaleness: 10 }, /^maxStaleness needs a feed/],
    [{ feed, maxStaleness: 2 }, /^maxStaleness needs a feed, and at least 3 seconds/],
    [{ feed, maxStaleness: Number.NaN }, /^maxStaleness/],
    [{ feed: { ...feed, url: 'localhost:3000' } }, /^feed.url/],
    [{ feed: { ...feed, url: '/auth' } }, /^feed.url/],
    [{ feed: { ...feed, url: '' } }, /^feed.url/],
    [{ feed: { ...feed, credential: 'lkr_AAAA' } }, /^feed.credential/],
    [{ feed: { ...feed, credential: `${CREDENTIAL}\n` } }, /^feed.credential/],
  ]
  for (const [differing, message] of wrong) {
    const make = () => createVerifier({ ...options, ...differing } as VerifierOptions)
    t.throws(make, { name: 'TypeError', message })
  }
  try {
    createVerifier({ ...options, secret: 'short but mine' })
  } catch (error) {
    t.notMatch((error as Error).message, /mine/)
  }
})

t.test(
  'the secret is replaced while it runs, and what was remembered of a dropped one is forgotten',
  async (t) => {
    const other = generateSecret()
    const verify = createVerifier(options)
    const old = token()
    t.equal(verify(old).aud, 'latchkey')
    verify.replaceSecret(`${other},${SECRET}`)
    t.equal(verify(old).aud, 'latchkey')
    verify.replaceSecret(other)
    t.throws(() => verify(old), { code: 'token_invalid' })
    t.throws(() => verify.replaceSecret('short but mine'), {
      name: 'TypeError',
      message: /^secret needs at least 32 bytes/,
    })
    t.throws(() => verify(old), { code: 'token_invalid' }, 'what was there stays')
  },
)
