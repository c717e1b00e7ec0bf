import fc from 'fast-check'
import t from 'tap'
import {
  deriveSecret,
  formatSecret,
  generateSecret,
  kidOf,
  parseSecrets,
  SecretFault,
} from '../../src/tokens/secrets.ts'

const BYTES = Buffer.from('9b1c0a7e44d2f85360e1b7c92a6d3f08c4517e9ab3d26f081c5d7e40a9b8f312', 'hex')

t.test('a secret is text, base64, base64url or hex', async (t) => {
  const forms = [
    `base64:${BYTES.toString('base64')}`,
    `base64:${BYTES.toString('base64').replace(/=+$/, '')}`,
    `base64:${BYTES.toString('base64url')}`,
    `hex:${BYTES.toString('hex')}`,
    `hex:${BYTES.toString('hex').toUpperCase()}`,
    `  hex:${BYTES.toString('hex')}\t`,
  ]
  for (const form of forms) t.strictSame(parseSecrets(form), [BYTES], form)
  const text = 'sea-glass lantern öre vexing plow'
  t.strictSame(parseSecrets(text), [Buffer.from(text)])
})

t.test('a secret that was made here is read back, and no two are the same', async (t) => {
  const made = Array.from({ length: 50 }, generateSecret)
  for (const secret of made) t.equal(parseSecrets(secret)[0]?.length, 32)
  t.equal(new Set(made).size, made.length)
})

t.test('however 32 random bytes are written, the same bytes are read', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 96 }), (array) => {
      const bytes = Buffer.from(array)
      const written = [
        `hex:${bytes.toString('hex')}`,
        `base64:${bytes.toString('base64')}`,
        `base64:${bytes.toString('base64url')}`,
      ]
      const read = written.map((text) => {
        try {
          return parseSecrets(text)[0]?.toString('hex')
        } catch (error) {
          // Shrunk examples have too little variety, however they are written.
          return (error as SecretFault).message
        }
      })
      return new Set(read).size === 1
    }),
  )
})

t.test('several secrets are read in their order, and none may stand twice', async (t) => {
  const [first, second] = [generateSecret(), generateSecret()]
  const secrets = parseSecrets(` ${first} , ${second}`)
  t.strictSame(secrets, [...parseSecrets(first), ...parseSecrets(second)])
  t.throws(() => parseSecrets(`${first},${second},${first}`), { message: 'lists the same secret twice' })
  const inHex = `hex:${parseSecrets(first)[0]?.toString('hex')}`
  t.throws(
    () => parseSecrets(`${first},${inHex}`),
    { message: 'lists the same secret twice' },
    'in other digits',
  )
  t.throws(() => parseSecrets(`${first},`), { message: /at least 32 bytes/ }, 'an empty one is one')
})

const RFC_7515_KEY = 'AyM1SysPpbyDfGZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'
const tooShort = /^needs at least 32 bytes in each secret$/
const keyFile = /^is a key file/
const example = /^is a published example/
const littleVariety = /^has too little variety/

const refused: [why: string, text: string, message: RegExp][] = [
  ['nothing', '', tooShort],
  ['31 characters', 'q7-Lm2xZ0pVb9RtYw4sKd8fGh1jNc5e', tooShort],
  ['31 bytes in hex', `hex:${BYTES.toString('hex', 0, 31)}`, tooShort],
  ['hex: alone', 'hex:', tooShort],
  ['base64: alone', 'base64:', tooShort],
  [
    'a PEM public key',
    '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF\n-----END PUBLIC KEY-----',
    keyFile,
  ],
  [
    'PEM in base64',
    `base64:${Buffer.from('-----BEGIN PRIVATE KEY-----MIIBVQIBADANBgkqhkiG9w0').toString('base64')}`,
    keyFile,
  ],
  ['a JWK', '{"kty":"oct","k":"mx0Zqv7c2KpL9wRtYbNd4sFh8jGe1uXaQzVoTi5"}', keyFile],
  ['an SSH key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKx7vQ2m', keyFile],
  ['the one that jwt.io shows', 'a-string-secret-at-least-256-bits-long', example],
  ['one of a tutorial', 'Your-Super-Secret-Key-0123456789-abcdef', example],
  ['the key of RFC 7515 appendix A.1', `base64:${RFC_7515_KEY}`, example],
  ['the same in hex', `hex:${Buffer.from(RFC_7515_KEY, 'base64url').toString('hex')}`, example],
  ['the same as text', RFC_7515_KEY, example],
  [
    '"change me" among more, in hex',
    `hex:${Buffer.from('please CHANGE_ME before you go live 0987').toString('hex')}`,
    example,
  ],
  ['one character', 'a'.repeat(64), littleVariety],
  ['zeros', `hex:${'00'.repeat(32)}`, littleVariety],
  ['nine different bytes', 'abcdefghi-abcdehgfi-acbdefghi-ab'.replaceAll('-', 'a'), littleVariety],
  ['a unit again and again', 'q7Lm2xZ0pVb9'.repeat(3), littleVariety],
  ['a unit again and again, cut off', 'q7Lm2xZ0pVb9'.repeat(4).slice(0, 41), littleVariety],
  ['half of it twice', `hex:${BYTES.toString('hex', 0, 16).repeat(2)}`, littleVariety],
  ['odd hex', `hex:${BYTES.toString('hex')}0`, /^is not valid hex$/],
  ['hex that is none', `hex:${'zz'.repeat(32)}`, /^is not valid hex$/],
  ['base64 that is none', `base64:${BYTES.toString('base64').replace(/^./, '!')}`, /^is not valid base64$/],
  [
    'base64 with a space',
    `base64:${BYTES.toString('base64').replace(/^(.{9})./, '$1 ')}`,
    /^is not valid base64$/,
  ],
  [
    'base64 with left-over bits',
    `base64:${'q7Lm2xZ0pVb9RtYw4sKd8fGh1jNc5eUoPiTyXvQrWzB'}`,
    /^is not valid base64$/,
  ],
]

for (const [why, text, message] of refused) {
  t.test(`refused: ${why}`, async (t) => {
    const fault = t.throws(() => parseSecrets(text), { name: 'SecretFault', message })
    t.type(fault, SecretFault)
    t.notMatch(String(fault), text.slice(0, 12) || 'nothing', 'and its fault says nothing of it')
  })
}

t.test('what is formatted is read back, to the byte', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 96 }), (array) => {
      const bytes = Buffer.from(array)
      const text = formatSecret(bytes)
      if (!/^base64:[\w+/]+=*$/.test(text)) return false
      try {
        return parseSecrets(text)[0]?.equals(bytes) === true
      } catch (error) {
        return error instanceof SecretFault
      }
    }),
  )
})

t.test(
  'a derived secret is 32 bytes, the same each time, and another for every audience and secret',
  async (t) => {
    const other = parseSecrets(generateSecret())[0] as Buffer
    const audiences = ['billing', 'Billing', 'billing ', 'shop', 'https://api.example.com', 'a', 'ä', '']
    const derived = [BYTES, other].flatMap((secret) => audiences.map((name) => deriveSecret(secret, name)))
    for (const secret of derived) t.equal(secret.length, 32)
    const distinct = new Set([BYTES, other, ...derived].map((secret) => secret.toString('hex')))
    t.equal(distinct.size, 2 + 2 * audiences.length)
    t.strictSame(deriveSecret(Buffer.from(BYTES), 'billing'), derived[0])
  },
)

t.test('a derived secret stays the same from version to version', async (t) => {
  t.equal(
    deriveSecret(BYTES, 'billing').toString('hex'),
    'b3dd565cf5ebd845425185fb20e53bb3047671f7dc2ce12541fc3d0150352cec',
  )
})

t.test('a derived secret has a kid of its own, and is a secret that can be configured', async (t) => {
  const derived = deriveSecret(BYTES, 'billing')
  t.not(kidOf(derived), kidOf(BYTES))
  t.strictSame(parseSecrets(formatSecret(derived)), [derived])
})
