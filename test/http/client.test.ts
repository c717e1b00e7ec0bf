import t from 'tap'
import { createService } from '../helpers/service.ts'

// The address that a sign-up is recorded with.
async function recorded(env: Record<string, string>, remoteAddress: string, forwardedFor: string) {
  const service = await createService(t, { env })
  const payload = { email: 'ada@example.com', password: 'a long walk by the river' }
  const headers = { 'x-forwarded-for': forwardedFor }
  await service.app.inject({ method: 'POST', url: '/auth/signup', remoteAddress, headers, payload })
  return service.events('signup')[0]?.ip
}

t.test('X-Forwarded-For is believed of a trusted proxy alone', async (t) => {
  const trusting = { TRUST_PROXY: '10.0.0.0/8' }
  t.equal(await recorded({}, '192.0.2.1', '198.51.100.7'), '192.0.2.1')
  t.equal(await recorded(trusting, '192.0.2.1', '198.51.100.7'), '192.0.2.1')
  t.equal(await recorded(trusting, '10.1.2.3', '198.51.100.7'), '198.51.100.7')
  t.equal(
    await recorded(trusting, '10.1.2.3', '203.0.113.9, 198.51.100.7'),
    '198.51.100.7',
    'the last one it saw',
  )
})

t.test('an address is an address, IPv4 as IPv4', async (t) => {
  t.equal(await recorded({}, '::ffff:192.0.2.1', ''), '192.0.2.1')
  t.equal(await recorded({}, '2001:db8::1', ''), '2001:db8::1')
  t.equal(await recorded({ TRUST_PROXY: '10.0.0.0/8' }, '10.1.2.3', 'x'.repeat(500)), 'unknown')
})
