import fc from 'fast-check'
import t from 'tap'
import { emailKey, isEmail, normalizeEmail } from '../src/email.ts'

const key = (typed: string) => emailKey(normalizeEmail(typed))

t.test('an address is kept as typed, but trimmed, in NFC, its domain in lower case', async (t) => {
  const nfd = 'Zoë'.normalize('NFD')
  for (const [typed, kept] of [
    ['ada@example.com', 'ada@example.com'],
    ['  Ada.Lovelace@Example.COM\n', 'Ada.Lovelace@example.com'],
    [`${nfd}@MÜNCHEN.de`.normalize('NFD'), 'Zoë@münchen.de'],
    ['not an address', 'not an address'],
    ['Ada@', 'Ada@'],
    ['A@B@C.com', 'A@B@c.com'],
    ['', ''],
  ] as const) {
    t.equal(normalizeEmail(typed), kept, typed)
  }
})

t.test('to normalize twice is to normalize once', async (t) => {
  const once = (text: string) => t.equal(normalizeEmail(normalizeEmail(text)), normalizeEmail(text))
  // In lower case this has its marks in the order that NFC wouldn't have.
  once('a@İ\u0327.com')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (local, domain) => {
      const normal = normalizeEmail(`${local}@${domain}`)
      return normalizeEmail(normal) === normal
    }),
    { numRuns: 500 },
  )
})

t.test('what can be an address', async (t) => {
  for (const address of [
    'ada@example.com',
    'Ada.Lovelace+tag@mail.example.co.uk',
    "o'hara_!#$%&*=?^`{|}~/-@example.org",
    'ä@example.com',
    '阿@例え.jp',
    'ada@münchen.de',
    'ada@xn--mnchen-3ya.de',
    'ada@example.xn--p1ai',
    'ada@i❤.ws',
    'ada@1.2.example.com',
    'ada@4chan.example',
    `${'x'.repeat(64)}@example.com`,
    `ada@${'x'.repeat(63)}.com`,
    `x@${'abcdefghi.'.repeat(24)}example.com`,
  ]) {
    t.equal(isEmail(normalizeEmail(address)), true, address)
  }
})

t.test('what can be none', async (t) => {
  for (const text of [
    ...['', '@', 'ada', 'ada@', '@example.com', 'ada@example', 'ada@.com', 'ada@example.', 'ada@a..com'],
    ...[
      'a da@example.com',
      'ada@exam ple.com',
      'ada@@example.com',
      'a@b@example.com',
      'ada@example.com,b@example.com',
    ],
    ...[
      '"ada"@example.com',
      'Ada <ada@example.com>',
      'ada;b@example.com',
      'ada\\@example.com',
      'a(da)@example.com',
    ],
    // What hides: control characters, a zero width space, a turn of direction, a private character, half a surrogate.
    ...[
      'a\0da@example.com',
      'ada@exa\u200bmple.com',
      'a\u202eda@example.com',
      'a\ue000@example.com',
      '\ud800@example.com',
    ],
    // What DNS can't know.
    ...[
      'ada@-example.com',
      'ada@example-.com',
      'ada@ex_ample.com',
      'ada@example!.com',
      `ada@${'x'.repeat(64)}.com`,
    ],
    ...['ada@127.0.0.1', 'ada@[127.0.0.1]', 'ada@1.2', 'ada@0x7f.1', 'ada@example.1', 'ada@example.c0m.99'],
    // What is too long: in octets, not in characters.
    ...[
      `${'x'.repeat(65)}@example.com`,
      `${'é'.repeat(33)}@example.com`,
      `x@${'abcdefghi.'.repeat(25)}example.com`,
    ],
  ]) {
    t.equal(isEmail(normalizeEmail(text)), false, JSON.stringify(text))
  }
})

t.test('no address is taken for that of another domain', async (t) => {
  // As a host in a URL each of these would be example.com.
  for (const text of [
    'example.com/x',
    'example.com?x.y',
    'example.com#x',
    'example.com\\x',
    '%65xample.com',
    'example.com:80',
    'x:y.example.com',
  ]) {
    t.equal(isEmail(normalizeEmail(`ada@${text}`)), false, text)
  }
})

t.test('every address that can be one has a key with a domain that DNS could know', async () => {
  const domain = fc.oneof(
    fc.domain(),
    fc.string({ unit: 'binary' }),
    fc.string().map((text) => `${text}.com`),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), domain, (local, domain) => {
      const address = normalizeEmail(`${local}@${domain}`)
      return !isEmail(address) || /@([a-z0-9-]+\.)+[a-z0-9-]+$/.test(emailKey(address))
    }),
    { numRuns: 500 },
  )
})

t.test('an ordinary address is an address', async () => {
  fc.assert(fc.property(fc.emailAddress(), (address) => isEmail(normalizeEmail(address))))
})

t.test(
  'an address is the same whatever its case, its composition and the spelling of its domain',
  async (t) => {
    const same = [
      'Zoë@münchen.de',
      'ZOË@MÜNCHEN.DE',
      'zoë@xn--mnchen-3ya.de',
      'Zoë@XN--MNCHEN-3YA.de',
      'Zoë@münchen.de'.normalize('NFD'),
      '\tzoë@München.de ',
    ]
    for (const typed of same) t.equal(key(typed), 'zoë@xn--mnchen-3ya.de', typed)
    t.equal(key('ada@ｅｘａｍｐｌｅ.com'), 'ada@example.com', 'also in full width')
    t.equal(key('ada@mail.example。com'), 'ada@mail.example.com', 'or with an ideographic full stop')
  },
)

t.test('two addresses stay two', async (t) => {
  const different = [
    'ada@example.com',
    'a.da@example.com',
    'ada+x@example.com',
    'ada@example.org',
    'ädä@example.com',
    'ada@straße.de',
    'ada@strasse.de',
  ]
  t.equal(new Set(different.map(key)).size, different.length)
})

t.test('no variant in case or composition makes another account', async () => {
  // The letters that have one capital and one small form.
  const letters = [...'abcxyzäéîøūñçžабвяαβγω']
  const local = fc.string({
    unit: fc.constantFrom(...letters, '.', '-', '+', '0', '9'),
    minLength: 1,
    maxLength: 20,
  })
  const variant = fc.constantFrom<(text: string) => string>(
    (text) => text.toUpperCase(),
    (text) => text.normalize('NFD'),
    (text) => text.toUpperCase().normalize('NFD'),
    (text) => text.replace(/./u, (first) => first.toUpperCase()),
    (text) => ` ${text}\r\n`,
  )
  fc.assert(
    fc.property(local, fc.domain(), variant, (local, domain, vary) => {
      const address = `${local}@${domain}`
      return key(vary(address)) === key(address)
    }),
    { numRuns: 300 },
  )
})
