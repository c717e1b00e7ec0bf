import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { ConfigError, parseConfig } from '../src/config.ts'
import { generateSecret } from '../src/tokens/secrets.ts'

const production = { NODE_ENV: 'production' }

function faultOf(secret: string): string {
  try {
    parseConfig({ ...production, JWT_SECRET: secret })
  } catch (error) {
    if (error instanceof ConfigError && error.faults.length === 1) return error.message
    throw error
  }
  return ''
}

t.test('production needs a secret; anywhere else the service may make its own', async (t) => {
  const message = 'JWT_SECRET is required in production: make one with `latchkey secret`'
  t.throws(() => parseConfig(production), { message })
  t.throws(() => parseConfig({ ...production, JWT_SECRET: '' }), { message })
  t.throws(() => parseConfig({ ...production, PORT: 'x' }), {
    message: `PORT must be a whole number from 0 to 65535
${message}`,
  })
  t.equal(parseConfig({ NODE_ENV: 'test' }).secrets, undefined)
})

t.test('what works on the database alone needs no secret, but refuses a bad one', async (t) => {
  t.equal(parseConfig(production, { needsSecret: false }).secrets, undefined)
  t.throws(() => parseConfig(production, { needsSecret: true }), { message: /^JWT_SECRET is required/ })
  t.throws(() => parseConfig({ ...production, JWT_SECRET: 'short' }, { needsSecret: false }), {
    message: 'JWT_SECRET needs at least 32 bytes in each secret',
  })
})

t.test('a secret is text, or bytes in base64 or hex', async (t) => {
  const text = 'zebra-Quartz_91.violin+Mo0n~kettle'
  const bytes = Buffer.from(text)
  const forms = [
    text,
    `base64:${bytes.toString('base64')}`,
    `base64:${bytes.toString('base64url')}`,
    `hex:${bytes.toString('hex')}`,
    `hex:${bytes.toString('hex').toUpperCase()}`,
    ` ${text} `,
  ]
  for (const form of forms) t.strictSame(parseConfig({ JWT_SECRET: form }).secrets, [bytes], form)
  t.match(faultOf('base64:not*base64'), /JWT_SECRET is not valid base64/)
  t.match(faultOf('hex:abc'), /JWT_SECRET is not valid hex/)
})

t.test('several secrets keep their order, and none comes twice', async (t) => {
  const [first, second] = [generateSecret(), generateSecret()]
  t.strictSame(
    parseConfig({ JWT_SECRET: `${first}, ${second}` }).secrets,
    [first, second].map((secret) => Buffer.from(secret.slice('base64:'.length), 'base64')),
  )
  t.equal(faultOf(`${first},${first}`), 'JWT_SECRET lists the same secret twice')
  const hex = Buffer.from(first.slice('base64:'.length), 'base64').toString('hex')
  t.equal(faultOf(`${first},hex:${hex}`), 'JWT_SECRET lists the same secret twice', 'however it is written')
  t.match(faultOf(`${first},`), /at least 32 bytes/, 'nor is one empty')
  t.match(faultOf(`${first},too short`), /at least 32 bytes/)
})

t.test('a weak secret is refused with the reason and without the secret', async (t) => {
  const jwk = JSON.stringify(generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }))
  const pem = generateKeyPairSync('ed25519').publicKey.export({ format: 'pem', type: 'spki' }).toString()
  const weak: readonly (readonly [secret: string, reason: RegExp])[] = [
    ['Zq8!canary', /at least 32 bytes/],
    [`base64:${Buffer.from('canary-of-31-bytes-xyz-01234567').toString('base64')}`, /at least 32 bytes/],
    ['hex:00112233445566778899aabbccddeeff', /at least 32 bytes/],
    ['a'.repeat(64), /too little variety/],
    ['canary-0123'.repeat(4), /too little variety/],
    [`hex:${'00'.repeat(32)}`, /too little variety/],
    [pem, /is a key file/],
    [jwk, /is a key file/],
    [`base64:${Buffer.from(pem).toString('base64')}`, /is a key file/],
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP0canary0canary0canary me@host', /is a key file/],
    // jwt.io, past and present
    ['your-256-bit-secret', /at least 32 bytes/],
    ['your-256-bit-secret-your-256-bit-secret', /published example/],
    ['a-string-secret-at-least-256-bits-long', /published example/],
    ['a-valid-string-secret-that-is-at-least-384-bits-long', /published example/],
    ['a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long', /published example/],
    // tutorials
    ['changeme-changeme-2026-please-canary', /published example/],
    ['Change_Me! to something of 32 bytes, canary', /published example|at least 32 bytes/],
    ['my-super-secret-key-that-nobody-knows', /published example/],
    ['your_jwt_secret_key_goes_here_1234567890', /published example/],
    ['REPLACE-THIS-WITH-64-RANDOM-CHARACTERS', /published example/],
    [`base64:${Buffer.from('your-512-bit-secret, but in base64').toString('base64')}`, /published example/],
    // RFC 7515 appendix A.1
    [
      'base64:AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
      /published example/,
    ],
  ]
  for (const [secret, reason] of weak) {
    const fault = faultOf(secret)
    t.match(fault, reason, secret)
    t.match(fault, /^JWT_SECRET [^\n]+$/)
    t.notMatch(fault.toLowerCase(), /canary/)
    t.notOk(fault.includes(secret))
  }
})
