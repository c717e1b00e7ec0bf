import t from 'tap'
import { addressFrom } from '../src/ip.ts'

t.test('an address is written in one way', async (t) => {
  const same: readonly (readonly [string, ...string[]])[] = [
    [
      '192.0.2.1',
      '::ffff:192.0.2.1',
      '::FFFF:c000:201',
      '0:0:0:0:0:ffff:192.0.2.1',
      '192.0.2.1:4711',
      '[::ffff:192.0.2.1]:1',
    ],
    ['2001:db8::1', '2001:DB8:0:0::1', '2001:0db8:0000:0000:0000:0000:0000:0001'],
    ['fe80::1', 'fe80::1%eth0', 'FE80::1%a-b.c:d', `fe80::1%${'x'.repeat(10_000)}`],
    ['::1', '0::1', '[::1]', '[::1]:65535'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['64:ff9b::c000:201', '64:ff9b::192.0.2.1'],
  ]
  for (const [expected, ...others] of same) {
    for (const text of [expected, ...others]) t.equal(addressFrom(text), expected, text)
  }
})

t.test('what is no address is none', async (t) => {
  const texts = [
    '',
    ' ',
    '%',
    '%eth0',
    'unknown',
    '1',
    '1.2.3',
    '01.2.3.4',
    '0x7f.0.0.1',
    '1.2.3.4/8',
    '1.2.3.4%a',
  ]
  for (const text of [
    ...texts,
    '::1::',
    '[::1',
    '[]',
    '[]:1',
    '1.2.3:4',
    '[::1]x',
    '::g',
    '192.0.2.1\u0000',
    "' or 1=1",
    'x'.repeat(10_000),
  ]) {
    t.equal(addressFrom(text), undefined, text.slice(0, 20))
  }
})
