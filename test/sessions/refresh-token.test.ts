import fc from 'fast-check'
import t from 'tap'
import {
  childToken,
  firstToken,
  formatRefreshToken,
  hashOf,
  isGenuine,
  isNewest,
  parseRefreshToken,
  rotationSalt,
} from '../../src/sessions/refresh-token.ts'

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((array) => Buffer.from(array))
const token = fc.record({ sessionId: fc.uuid(), secret: bytes(32), seal: bytes(16) })

t.test('a token is read as it was written', async (t) => {
  const readAgain = fc.property(token, (token) => {
    const text = formatRefreshToken(token)
    return /^lkr_[\w-]{86}$/.test(text) && JSON.stringify(parseRefreshToken(text)) === JSON.stringify(token)
  })
  t.doesNotThrow(() => fc.assert(readAgain))
})

t.test('whatever is read is written again as the same text, and all else is undefined', async (t) => {
  const mangled = fc
    .tuple(token, fc.nat(91), fc.string({ unit: 'binary', maxLength: 3 }))
    .map(([token, at, text]) => {
      const good = formatRefreshToken(token)
      return good.slice(0, at) + text + good.slice(at + 1)
    })
  const digits = fc.stringMatching(/^lkr_[\w-]{80,90}$/)
  const exact = fc.property(fc.oneof(mangled, digits, fc.string({ unit: 'binary' })), (text) => {
    const parsed = parseRefreshToken(text)
    return parsed === undefined || formatRefreshToken(parsed) === text
  })
  t.doesNotThrow(() => fc.assert(exact, { numRuns: 1_000 }))
  t.equal(parseRefreshToken(''), undefined)
  t.equal(parseRefreshToken('lkr_'), undefined)
})

t.test('a child is the same for the same parent and salt, and for no other', async (t) => {
  const { token: parent, keys } = firstToken('019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071')
  const salt = rotationSalt()
  const child = childToken(parent, salt, keys)
  t.strictSame(childToken(parent, salt, keys), child)
  t.equal(child.sessionId, parent.sessionId)
  t.notSame(child.secret, parent.secret)
  t.notSame(childToken(parent, rotationSalt(), keys).secret, child.secret)
  t.notSame(childToken(firstToken(parent.sessionId).token, salt, keys).secret, child.secret)
})

t.test(
  'every token of a session is genuine, one is the newest, and none of another session is either',
  async (t) => {
    const { token: first, keys } = firstToken('019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071')
    const child = childToken(first, rotationSalt(), keys)
    const row = { ...keys, secret_hash: hashOf(child.secret) }
    t.strictSame([isGenuine(first, row), isNewest(first, row)], [true, false])
    t.strictSame([isGenuine(child, row), isNewest(child, row)], [true, true])
    const { token: foreign } = firstToken(first.sessionId)
    t.strictSame([isGenuine(foreign, row), isNewest(foreign, row)], [false, false])
    t.equal(isGenuine({ ...child, secret: first.secret }, row), false, 'a seal is good for its own secret')
  },
)

t.test('a hash is SHA-256', async (t) => {
  // NIST's example for "abc".
  t.equal(
    hashOf(Buffer.from('abc')).toString('hex'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  )
})
