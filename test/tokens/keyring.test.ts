import t from 'tap'
import { createKeyring, type Key, type Keyring } from '../../src/tokens/keyring.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { deriveSecret, generateSecret, kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims } from '../helpers/hand-made-tokens.ts'

const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }

const newSecrets = (count: number) =>
  Array.from({ length: count }, () => parseSecrets(generateSecret())[0] as Buffer)

/** The key that signs our own tokens. */
const currentOf = (keyring: Keyring) => keyring.signerFor(parties.audience) as Key

/** A node with those secrets: what it signs, and whether it lets a token in. */
async function node(secrets: readonly Buffer[], otherAudiences: readonly string[] = []) {
  const keyring = await createKeyring(secrets, { ...parties, otherAudiences })
  const mint = createMint(keyring, parties, 600)
  const revocations = createRevocations(Date.now)
  const verify = createVerifier({ keyring, revocations, clock: Date.now, ...parties })
  const subject = {
    accountId: 'account',
    sessionId: 'session',
    roles: ['user'],
    scopes: ['account'],
    audience: parties.audience,
    sessionExpiresAt: Date.now() + 86_400_000,
  }
  return { keyring, mint: () => mint(subject, Date.now()).token, verify }
}

t.test(
  'a kid is the same on every node, another for every secret, and 16 characters of base64url',
  async (t) => {
    const secrets = newSecrets(20)
    const kids = secrets.map(kidOf)
    t.strictSame(
      secrets.map((secret) => kidOf(Buffer.from(secret))),
      kids,
    )
    t.equal(new Set(kids).size, kids.length)
    for (const kid of kids) t.match(kid, /^[\w-]{16}$/)
    t.equal(kidOf(Buffer.alloc(32, 7)), '4fj-HO7E-bGyqKs6', 'and stays the same from version to version')
  },
)

t.test('nothing of a secret shows in its kid', async (t) => {
  const secret = Buffer.from('a secret whose text is easily recognised')
  const kid = kidOf(secret)
  for (const encoding of ['base64url', 'hex', 'latin1'] as const) {
    t.notOk(secret.toString(encoding).includes(kid.slice(0, 6)), encoding)
  }
})

t.test('the first secret signs, and all verify', async (t) => {
  const [older, newer] = newSecrets(2) as [Buffer, Buffer]
  const before = await node([older])
  const during = await node([newer, older])
  const after = await node([newer])

  t.strictSame(during.keyring.kids, [kidOf(newer), kidOf(older)])
  t.equal(currentOf(during.keyring).kid, kidOf(newer))
  t.equal(during.verify(before.mint()).sub, 'account', 'the old token while both are there')
  t.equal(during.verify(during.mint()).sub, 'account')
  t.equal(after.verify(during.mint()).sub, 'account', 'the new one once the old secret is gone')
  t.throws(
    () => after.verify(before.mint()),
    { code: 'token_invalid', message: /kid/ },
    'and the old one no more',
  )
})

t.test('an unknown kid finds no key, whatever it is', async (t) => {
  const { keyring } = await node(newSecrets(1))
  const current = currentOf(keyring)
  t.equal(keyring.find(current.kid), current)
  for (const kid of [undefined, null, '', 0, [current.kid], '__proto__', 'constructor', `${current.kid} `]) {
    t.equal(keyring.find(kid), undefined, JSON.stringify(kid))
  }
})

t.test('a key refuses what it did not sign, or signed for somebody else', async (t) => {
  const [secret, other] = newSecrets(2) as [Buffer, Buffer]
  const key = currentOf(await createKeyring([secret], parties))
  const claims = goodClaims(Date.now())
  t.doesNotThrow(() => key.verify(key.sign(claims)))
  const refused = {
    'another secret': currentOf(await createKeyring([other], parties)).sign(claims),
    'another issuer': key.sign({ ...claims, iss: 'http://localhost:3001' }),
    'another audience': key.sign({ ...claims, aud: 'somebody else' }),
  }
  for (const [why, token] of Object.entries(refused)) t.throws(() => key.verify(token), why)
})

t.test('the tokens of another audience are signed by a secret of its own, and not let in here', async (t) => {
  const [secret, older] = newSecrets(2) as [Buffer, Buffer]
  const { keyring, verify } = await node([secret, older], ['billing', 'shop'])
  const keys = ['latchkey', 'billing', 'shop'].map((audience) => keyring.signerFor(audience) as Key)
  t.strictSame(
    keys.map(({ kid }) => kid),
    [secret, deriveSecret(secret, 'billing'), deriveSecret(secret, 'shop')].map(kidOf),
  )
  t.strictSame(keyring.kids, [secret, older].map(kidOf), 'theirs are no kids of ours')

  const [own, billing, shop] = keys as [Key, Key, Key]
  const token = billing.sign({ ...goodClaims(Date.now()), aud: 'billing' })
  t.doesNotThrow(() => billing.verify(token))
  t.throws(() => shop.verify(token))
  t.throws(() => own.verify(token))
  t.throws(() => verify(token), { code: 'token_invalid', message: /kid/ })
  t.equal(keyring.find(billing.kid), undefined)
  for (const audience of ['', 'Billing', 'constructor', '__proto__']) {
    t.equal(keyring.signerFor(audience), undefined, audience)
  }
})

t.test('secrets are replaced all at once, for every audience', async (t) => {
  const [first, second] = newSecrets(2) as [Buffer, Buffer]
  const { keyring } = await node([first], ['billing'])
  t.equal(keyring.generation, 0)
  const replacing = keyring.replace([second, first])
  t.strictSame(keyring.kids, [kidOf(first)], 'not before the new ones are ready')
  t.equal(keyring.generation, 0)
  await replacing
  t.strictSame(keyring.kids, [second, first].map(kidOf))
  t.equal(keyring.signerFor('latchkey')?.kid, kidOf(second))
  t.equal(keyring.signerFor('billing')?.kid, kidOf(deriveSecret(second, 'billing')))
  t.equal(keyring.generation, 1)
  await keyring.replace([second])
  t.equal(keyring.find(kidOf(first)), undefined)
  t.equal(keyring.generation, 2)
})

t.test(
  'through a rotation no token is refused before its secret is dropped, and each is at once then',
  async (t) => {
    const [older, newer] = newSecrets(2) as [Buffer, Buffer]
    const { keyring, mint, verify } = await node([older])
    const [seen, unseen] = [mint(), mint()]
    verify(seen)

    await keyring.replace([older, newer])
    t.equal(verify(seen).sub, 'account', 'added to verify')
    await keyring.replace([newer, older])
    const fresh = mint()
    verify(seen)
    verify(fresh)

    await keyring.replace([newer])
    for (const token of [seen, unseen]) {
      t.throws(() => verify(token), { code: 'token_invalid', message: /kid/ }, 'also where it was remembered')
    }
    t.equal(verify(fresh).sub, 'account')
    t.equal(verify(mint()).sub, 'account')

    await keyring.replace([newer, older])
    t.equal(verify(seen).sub, 'account', 'what was refused is not remembered as bad')
  },
)
