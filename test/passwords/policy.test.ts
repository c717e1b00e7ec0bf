import fc from 'fast-check'
import t from 'tap'
import { createPolicy, isPassword, normalizePassword } from '../../src/passwords/policy.ts'
import type { Problem } from '../../src/problem.ts'

const policy = createPolicy(15)

/** Why a password is refused; empty where it is taken. */
function reasons(password: string, ownWords: readonly (string | null)[] = [], judge = policy): string[] {
  try {
    judge.check(password, ownWords, 'password')
    return []
  } catch (error) {
    const { code, errors = [] } = error as Problem
    if (code !== 'password_too_weak') throw error
    return errors.map(({ path, message }) => `${path} ${message}`)
  }
}

const tooShort = 'password must have at least 15 characters'
const common = 'password is one of the most common passwords'
const repeated = 'password must not be the same few characters again and again'
const ownWord = 'password must be more than your address, your name or the name of this service'

t.test('a long enough password is taken, whatever it is composed of', async (t) => {
  for (const password of [
    'a long walk by the river',
    'correcthorsebatterystaple!',
    '847261950384756',
    'nothing but lower case',
    '東京特許許可局長今日急遽休暇許可',
    '🦊🐢🦉🐝🐙🦋🐌🦔🐞🦀🐬🦜🐿🦢🐧',
  ]) {
    t.strictSame(reasons(password), [], password)
  }
})

t.test('length is counted in characters after NFC, not in bytes or code units', async (t) => {
  t.strictSame(reasons('qwzxvbnmplkjhg'), [tooShort])
  t.strictSame(reasons('qwzxvbnmplkjhgf'), [])
  t.strictSame(reasons('🦊🐢🦉🐝🐙🦋🐌🦔🐞🦀🐬🦜🐧🦢'), [tooShort])
  const composed = 'ÄÖÜÉÈÊËÀÂÇÎÏÔÛ'
  t.strictSame(reasons(composed), [tooShort])
  t.strictSame(reasons(composed.normalize('NFD')), [tooShort])
})

t.test('a common password is refused in any case', async (t) => {
  for (const password of ['1qaz2wsx3edc4rfv', 'QWERTYUIOP12345', 'PasswordPassword']) {
    t.ok(reasons(password).includes(common), password)
  }
  t.ok(reasons('Password', [], createPolicy(8)).includes(common), 'also where shorter ones may be')
})

t.test('a few characters again and again are refused', async (t) => {
  t.strictSame(reasons('a'.repeat(20)), [repeated])
  t.strictSame(reasons('abcdabcdabcdabcd'), [repeated])
  t.strictSame(reasons('aAaAbBbBcCcCdDdD'), [repeated], 'a change of case is no other character')
  t.strictSame(reasons('abcdeabcdeabcde'), [])
})

t.test('a password that is little but own words is refused', async (t) => {
  const own = ['Ada.Lovelace@Example.com', 'Ada King Lovelace']
  for (const password of [
    'ada.lovelace@example.com',
    'lovelacelovelace1',
    'LOVELACE-EXAMPLE-1815',
    'adakinglovelace!',
    'latchkey latchkey',
    'Latchkey-Example-1',
  ]) {
    t.strictSame(reasons(password, own), [ownWord], password)
  }
  t.strictSame(reasons('lovelace by the river', own), [], 'with enough besides it is taken')
  t.strictSame(
    reasons('lovelacelovelace1', [null, 'grace@example.org']),
    [],
    "another's words are no own ones",
  )
  t.strictSame(
    reasons('adalinaadalina-7', ['x@example.com', 'Ada Adalina']),
    [ownWord],
    'the longest word first',
  )
  t.strictSame(reasons('Zoë Zoë Zoë Zoë 12', ['x@example.com', 'Zoë'.normalize('NFD')]), [ownWord])
})

t.test('a short name takes nothing out of a password', async (t) => {
  t.strictSame(reasons('a long walk by the river', ['al@a.io', 'A B']), [])
})

t.test('every reason is told, in errors and in a sentence', async (t) => {
  const all = t.throws(() => policy.check('12345678', [], 'new_password')) as unknown as Problem
  t.equal(all.kind.status, 422)
  t.strictSame(all.errors, [{ path: 'new_password', message: 'must have at least 15 characters' }])
  t.strictSame(reasons('latchkey'), [tooShort, ownWord])
  t.strictSame(reasons('aaaa'), [tooShort, repeated])
  t.throws(() => policy.check('latchkey', [], 'password'), {
    message:
      'The password must have at least 15 characters, and must be more than your address, your name or the name of this service.',
  })
})

t.test('a policy of fewer characters asks for no more than them', async (t) => {
  t.strictSame(reasons('x7Qm!p', [], createPolicy(6)), [])
})

t.test('what is no password at all is refused before anything else', async (t) => {
  for (const text of [
    'a long walk\0',
    'tab\tin a password',
    'line\nbreak',
    'c1 \u0085',
    'lone \ud83d surrogate',
    '\udc00',
  ]) {
    t.equal(isPassword(text), false, JSON.stringify(text))
  }
  t.equal(isPassword('spaces  and ünïcödé, 👩‍👩‍👧 too'), true)
})

t.test('a password has at most 128 characters after NFC', async (t) => {
  for (const character of ['x', 'é', '🦊', '각', 'é'.normalize('NFD'), '각'.normalize('NFD')]) {
    t.equal(isPassword(character.repeat(128)), true, character)
    t.equal(isPassword(character.repeat(129)), false, character)
  }
  t.equal(isPassword('x'.repeat(1_000_000)), false)
})

t.test('however a password is composed, it is the same one', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const normal = normalizePassword(text)
      return normal === normalizePassword(text.normalize('NFD')) && normal === normalizePassword(normal)
    }),
  )
})
