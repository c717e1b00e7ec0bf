import t from 'tap'
import { createKeyring, kidOf } from '../../src/tokens/keyring.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { generateSecret, parseSecrets } from '../../src/tokens/secrets.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims } from '../helpers/hand-made-tokens.ts'

const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }

const newSecrets = (count: number) =>
  Array.from({ length: count }, () => parseSecrets(generateSecret())[0] as Buffer)

/** A node with those secrets: what it signs, and whether it lets a token in. */
async function node(secrets: readonly Buffer[]) {
  const keyring = await createKeyring(secrets, parties)
  const mint = createMint(keyring, parties, 600)
  const revocations = createRevocations(Date.now)
  const verify = createVerifier({ keyring, revocations, clock: Date.now, ...parties })
  const subject = {
    accountId: 'account',
    sessionId: 'session',
    roles: ['user'],
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
  t.equal(during.keyring.current.kid, kidOf(newer))
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
  t.equal(keyring.find(keyring.current.kid), keyring.current)
  for (const kid of [
    undefined,
    null,
    '',
    0,
    [keyring.current.kid],
    '__proto__',
    'constructor',
    `${keyring.current.kid} `,
  ]) {
    t.equal(keyring.find(kid), undefined, JSON.stringify(kid))
  }
})

t.test('a key refuses what it did not sign, or signed for somebody else', async (t) => {
  const [secret, other] = newSecrets(2) as [Buffer, Buffer]
  const key = (await createKeyring([secret], parties)).current
  const claims = goodClaims(Date.now())
  t.doesNotThrow(() => key.verify(key.sign(claims)))
  const refused = {
    'another secret': (await createKeyring([other], parties)).current.sign(claims),
    'another issuer': key.sign({ ...claims, iss: 'http://localhost:3001' }),
    'another audience': key.sign({ ...claims, aud: 'somebody else' }),
  }
  for (const [why, token] of Object.entries(refused)) t.throws(() => key.verify(token), why)
})
