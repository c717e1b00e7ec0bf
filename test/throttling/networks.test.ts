import t from 'tap'
import { networkOf, siteOf } from '../../src/throttling/networks.ts'

t.test('an IPv4 address stands for itself, however it is written', async (t) => {
  t.equal(networkOf('192.0.2.1'), '192.0.2.1')
  t.equal(networkOf('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(networkOf('::ffff:c000:201'), '192.0.2.1')
  t.equal(networkOf('0:0:0:0:0:FFFF:C000:0201'), '192.0.2.1')
  t.not(networkOf('::ffff:192.0.2.1'), networkOf('::ffff:192.0.2.2'))
})

t.test('an IPv6 address stands for its /64, however it is written', async (t) => {
  const network = networkOf('2001:db8:1:2::1')
  for (const same of [
    '2001:db8:1:2:ffff:ffff:ffff:ffff',
    '2001:0DB8:0001:0002:0000:0000:0000:0001',
    '2001:db8:1:2::192.0.2.1',
    '2001:db8:1:2::1%eth0',
  ]) {
    t.equal(networkOf(same), network, same)
  }
  for (const other of ['2001:db8:1:3::1', '2001:db8:1::1', '::1']) {
    t.not(networkOf(other), network, other)
  }
})

t.test('whatever is no address stands for nobody', async (t) => {
  for (const ip of [
    'unknown',
    '',
    '1.2.3',
    '01.2.3.4',
    '0x7f.1',
    '2130706433',
    '2001:db8::/64',
    'example.com',
  ]) {
    t.equal(networkOf(ip), undefined, ip)
  }
})

t.test('an IPv4 address that is translated to IPv6 stands for itself', async (t) => {
  t.equal(networkOf('64:ff9b::192.0.2.1'), '192.0.2.1')
  t.equal(networkOf('64:ff9b::c000:202'), '192.0.2.2')
})

t.test('the site of an IPv6 address is its /48', async (t) => {
  t.equal(siteOf('2001:db8:1:2::1'), siteOf('2001:db8:1:ffff::2'))
  t.not(siteOf('2001:db8:1:2::1'), siteOf('2001:db8:2:2::1'))
  t.not(siteOf('2001:db8:1::1'), networkOf('2001:db8:1::1'))
  for (const ip of ['192.0.2.1', '64:ff9b::192.0.2.1', 'unknown', '']) t.equal(siteOf(ip), undefined, ip)
})
