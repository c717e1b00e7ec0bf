import t from 'tap'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { deriveSecret, generateSecret, kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { createVerificationKeys } from '../../src/tokens/verification-keys.ts'
import { createVerifier, type VerificationKey, type VerificationKeys } from '../../src/tokens/verifier.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { hostileTokens } from '../helpers/hostile-tokens.ts'

const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }
const now = Math.floor(Date.now() / 1_000) * 1_000
const clock = () => now

const verifierOf = (keyring: VerificationKeys) =>
  createVerifier({ keyring, revocations: createRevocations(clock), clock, ...parties })

/** What a check came to: what it returned, or what was said against it. */
function outcome(check: () => unknown): unknown {
  try {
    return { returned: check() }
  } catch (error) {
    const { name, code, message } = error as Error & { code: string }
    return { name, code, message }
  }
}

t.test('keys without a server say of every token what those of the service say', async (t) => {
  const served = await createKeyring([SECRET_BYTES], parties)
  const alone = createVerificationKeys([SECRET_BYTES], parties)
  const [servedVerify, aloneVerify] = [verifierOf(served), verifierOf(alone)]
  const { good, claims, table } = hostileTokens(now)
  t.strictSame(aloneVerify(good), claims)
  t.strictSame(servedVerify(good), claims)

  for (const [why, token, code = 'token_invalid'] of table) {
    const said = outcome(() => aloneVerify(token))
    t.strictSame(
      said,
      outcome(() => servedVerify(token)),
      why,
    )
    // Without a header around it, what is no header is no token.
    t.match(said, { name: 'Problem', code: code === 'invalid_request' ? 'token_invalid' : code }, why)
  }
})

t.test('so does each key of its own, of whatever it is shown', async (t) => {
  const served = (await createKeyring([SECRET_BYTES], parties)).find(goodHeader.kid) as VerificationKey
  const alone = createVerificationKeys([SECRET_BYTES], parties).find(goodHeader.kid) as VerificationKey
  const { good, table } = hostileTokens(now)
  const lets = (key: VerificationKey, token: string) =>
    'returned' in (outcome(() => key.verify(token)) as object)
  t.equal(lets(alone, good), true)
  let refused = 0
  for (const [why, token] of table) {
    t.equal(lets(alone, token), lets(served, token), why)
    if (!lets(alone, token)) refused++
  }
  t.ok(refused > 60, `${refused} are refused by the key itself`)
})

t.test('every secret verifies, and one that is not there does not', async (t) => {
  const secrets = [generateSecret(), generateSecret()].flatMap(parseSecrets)
  const verify = verifierOf(createVerificationKeys(secrets, parties))
  const signedBy = (secret: Buffer) =>
    handMade({ ...goodHeader, kid: kidOf(secret) }, { ...goodClaims(now), sub: 'ada' }, secret)
  for (const secret of secrets) t.equal(verify(signedBy(secret)).sub, 'ada')
  t.throws(() => verify(signedBy(SECRET_BYTES)), { code: 'token_invalid', message: /kid/ })
})

t.test('a derived secret verifies the tokens of its audience and no others', async (t) => {
  const billing = { ...parties, audience: 'billing' }
  const secret = deriveSecret(SECRET_BYTES, 'billing')
  const keyring = createVerificationKeys([secret], billing)
  const verify = createVerifier({ keyring, revocations: createRevocations(clock), clock, ...billing })
  const issuing = await createKeyring([SECRET_BYTES], { ...parties, otherAudiences: ['billing', 'shop'] })
  const token = (audience: string) =>
    issuing.signerFor(audience)?.sign({ ...goodClaims(now), aud: audience }) as string

  t.equal(verify(token('billing')).aud, 'billing')
  for (const audience of ['shop', 'latchkey']) {
    t.throws(() => verify(token(audience)), { code: 'token_invalid', message: /kid/ }, audience)
  }
  // Who holds it can't make a token for anybody else.
  const forged = handMade({ ...goodHeader, kid: kidOf(secret) }, goodClaims(now), secret)
  t.throws(() => verifierOf(issuing)(forged), { code: 'token_invalid', message: /kid/ })
  const withOurKid = handMade(goodHeader, goodClaims(now), secret)
  t.throws(() => verifierOf(issuing)(withOurKid), { code: 'token_invalid' })
})
