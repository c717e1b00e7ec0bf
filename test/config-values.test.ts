import { availableParallelism } from 'node:os'
import t from 'tap'
import { parseConfig } from '../src/config.ts'
import { faultsOf } from './helpers/faults.ts'

t.test('an access token lives an hour at most, and everything at least a second', async (t) => {
  for (const name of ['ACCESS_TOKEN_TTL', 'REFRESH_TOKEN_TTL', 'SESSION_TTL']) {
    t.strictSame(faultsOf({ [name]: '1s' }), [], `${name}=1s`)
    for (const text of ['0s', '600', '-1m', '1.5h', '10 m', '1w', '99999d', 'forever']) {
      t.equal(faultsOf({ [name]: text }).length, 1, `${name}=${text}`)
    }
  }
  t.strictSame(faultsOf({ ACCESS_TOKEN_TTL: '60m' }), [])
})

t.test('numbers are whole, in decimal digits and within their bounds', async (t) => {
  const bounds: Readonly<Record<string, readonly [number, number]>> = {
    DATABASE_POOL_SIZE: [1, 1_000],
    PORT: [0, 65_535],
    PASSWORD_MIN_LENGTH: [8, 128],
    ARGON2_MEMORY_KIB: [19_456, 4_194_304],
    ARGON2_PASSES: [2, 100],
    ARGON2_PARALLELISM: [1, 16],
    UV_THREADPOOL_SIZE: [1, 1_024],
  }
  for (const [name, [least, most]] of Object.entries(bounds)) {
    t.strictSame(faultsOf({ [name]: String(least) }), [], `${name}=${least}`)
    t.strictSame(faultsOf({ [name]: String(most) }), [], `${name}=${most}`)
    for (const text of [
      String(least - 1),
      String(most + 1),
      `${least}.0`,
      ` ${least}`,
      `+${least}`,
      '0x50',
      '1e2',
      '٣',
    ]) {
      t.equal(faultsOf({ [name]: text }).length, 1, `${name}=${JSON.stringify(text)}`)
    }
  }
})

t.test(
  'fewer hashes run at once than the thread pool has threads, and no more than there are cores',
  async (t) => {
    const concurrency = (env: Record<string, string>) => parseConfig(env).argon2.concurrency
    t.equal(concurrency({}), Math.min(availableParallelism(), 3))
    t.equal(concurrency({ UV_THREADPOOL_SIZE: '2' }), 1)
    t.equal(concurrency({ UV_THREADPOOL_SIZE: '1024' }), Math.min(availableParallelism(), 1_023))
    t.equal(concurrency({ UV_THREADPOOL_SIZE: '1' }), 1, 'at least one')
  },
)

t.test('a proxy is believed by its address, never by hearsay', async (t) => {
  for (const text of ['127.0.0.1', '10.0.0.0/8', '10.0.0.1/32', '::1', 'fd00::/8', '2001:db8::1/128']) {
    t.strictSame(parseConfig({ TRUST_PROXY: text }).trustProxy, [text], text)
  }
  t.strictSame(parseConfig({ TRUST_PROXY: '10.0.0.0/8, fd00::/8' }).trustProxy, ['10.0.0.0/8', 'fd00::/8'])
  t.equal(parseConfig({ TRUST_PROXY: 'off' }).trustProxy, false)
  for (const text of [
    ...['true', 'on', '1', '2', 'loopback', 'example.com', '*', ',', '10.0.0.0/8,', '10.0.0.0/8,true'],
    ...['0.0.0.0/0', '::/0', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1'],
    ...['10.0.0.0/8/8', '10.0.0/8', '10.0.0.256', '10.0.0.0/255.0.0.0', 'fd00:::/8', '[::1]', '10.0.0.0-9'],
  ]) {
    t.equal(faultsOf({ TRUST_PROXY: text }).length, 1, text)
  }
})

t.test('a database is a path behind file:, or a postgres:// URL', async (t) => {
  for (const text of [
    ...[
      'file:latchkey.db',
      'file:./data/latchkey.db',
      'file:/var/lib/latchkey.db',
      'file:///var/lib/a%20b.db',
    ],
    ...[
      'file::memory:',
      'postgres://localhost/latchkey',
      'postgresql://u:p@[::1]:5432/latchkey?sslmode=require',
    ],
  ]) {
    t.equal(parseConfig({ DATABASE_URL: text }).databaseUrl, text)
  }
  for (const text of [
    ...['file:', 'file://latchkey.db', 'file:///a%2fb.db', 'file:///%zz', 'latchkey.db', ':memory:'],
    ...[
      'sqlite:latchkey.db',
      'postgres:latchkey',
      'postgres://u:p@host:port/latchkey',
      'https://example.com',
    ],
  ]) {
    t.equal(faultsOf({ DATABASE_URL: text }).length, 1, text)
  }
})
