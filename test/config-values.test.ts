import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parseConfig } from '../src/config.ts'
import { generateSecret } from '../src/tokens/secrets.ts'
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

t.test(
  'without an end, or for a day at most, the guard goes on without hearing of revocations',
  async (t) => {
    const maxStaleness = (text: string) => parseConfig({ REVOCATION_MAX_STALENESS: text }).maxStaleness
    t.equal(maxStaleness('none'), undefined)
    t.equal(maxStaleness('1s'), 1)
    t.equal(maxStaleness('24h'), 86_400)
    for (const text of ['0s', '25h', 'None', 'off', '30', 'infinity', '-1s']) {
      t.equal(faultsOf({ REVOCATION_MAX_STALENESS: text }).length, 1, text)
    }
  },
)

t.test('other audiences are told apart by commas, each once, and ours is none of them', async (t) => {
  const others = (text: string, own = 'latchkey') =>
    parseConfig({ JWT_OTHER_AUDIENCES: text, JWT_AUDIENCE: own }).otherAudiences
  t.strictSame(others('billing'), ['billing'])
  t.strictSame(others(' billing , https://api.example.com/a b '), ['billing', 'https://api.example.com/a b'])
  t.strictSame(others('billing,shop,billing'), ['billing', 'shop'])
  t.strictSame(others('billing,latchkey,Latchkey'), ['billing', 'Latchkey'])
  t.strictSame(others('latchkey'), [])
  t.strictSame(others('none'), [])
  t.strictSame(others('x'.repeat(126)), ['x'.repeat(126)])
  for (const text of [',', 'billing,', ',billing', 'a,,b', 'a\u0000', 'a\u200b', 'a\nb', 'x'.repeat(127)]) {
    t.equal(faultsOf({ JWT_OTHER_AUDIENCES: text }).length, 1, JSON.stringify(text))
  }
})

t.test('roles are JSON, in the variable or in a file', async (t) => {
  const text = '{\n  "editor": ["account", "articles:write"]\n}\n'
  const folder = t.testdir({ 'roles.json': text, 'bad.json': '{"editor":"canary"}' })
  for (const env of [{ ROLES: text }, { ROLES_FILE: join(folder, 'roles.json') }]) {
    const { names, scopesOf } = parseConfig(env).roles
    t.strictSame(names, ['user', 'admin', 'editor'])
    t.strictSame(scopesOf(['editor']), ['account', 'articles:write'])
  }
  t.strictSame(faultsOf({ ROLES_FILE: join(folder, 'bad.json') }), [
    'ROLES must be an object that names, for each role, a list of scopes',
  ])
  t.strictSame(faultsOf({ ROLES_FILE: join(folder, 'no.json') }), ["ROLES_FILE can't be read (ENOENT)"])
  t.strictSame(faultsOf({ ROLES: '{"admin":["account"]}' }), ['ROLES must give admin the scope admin'])
})

t.test('numbers are whole, in decimal digits and within their bounds', async (t) => {
  const bounds: Readonly<Record<string, readonly [number, number]>> = {
    DATABASE_POOL_SIZE: [1, 1_000],
    PORT: [0, 65_535],
    WORKERS: [1, 256],
    METRICS_PORT: [0, 65_535],
    ATTEMPTS_PER_ADDRESS: [1, 1_000_000],
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

t.test('there are as many workers as are asked for, or one a core, and they share the cores', async (t) => {
  const cores = availableParallelism()
  t.equal(parseConfig({ WORKERS: 'auto' }).workers, cores)
  t.equal(parseConfig({ WORKERS: 'auto' }).argon2.concurrency, 1)
  t.equal(parseConfig({ WORKERS: '256' }).argon2.concurrency, Math.max(1, Math.floor(cores / 256)))
})

t.test('an origin is written as browsers send it', async (t) => {
  for (const text of ['https://app.example.com', 'http://localhost:5173', 'http://[::1]:8080']) {
    t.strictSame(parseConfig({ CORS_ORIGINS: text }).corsOrigins, [text], text)
  }
  t.strictSame(parseConfig({ CORS_ORIGINS: 'none' }).corsOrigins, [])
  for (const text of [
    ...['*', 'null', 'app.example.com', 'https://', 'https://app.example.com/', 'https://app.example.com/a'],
    ...['https://APP.example.com', 'https://app.example.com:443', 'https://*.example.com', 'ftp://a.example'],
    ...['https://u:p@app.example.com', 'https://app.example.com,', 'file:///a', 'https://app.example.com?a'],
  ]) {
    t.equal(faultsOf({ CORS_ORIGINS: text }).length, 1, text)
  }
})

t.test('traces go to a URL', async (t) => {
  for (const text of ['http://localhost:4318', 'https://collector.example.com/otlp']) {
    t.equal(parseConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: text }).tracesEndpoint, text)
  }
  for (const text of ['localhost:4318', 'grpc://localhost:4317', 'http://', 'on']) {
    t.equal(faultsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: text }).length, 1, text)
  }
})

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

t.test('issuer and audience leave room in a token for all else', async (t) => {
  const JWT_SECRET = generateSecret()
  const longest = { JWT_ISSUER: 'i'.repeat(254), JWT_AUDIENCE: 'a'.repeat(126) }
  t.match(parseConfig({ JWT_SECRET, ...longest }), {
    issuer: longest.JWT_ISSUER,
    audience: longest.JWT_AUDIENCE,
  })
  t.strictSame(faultsOf({ JWT_SECRET, JWT_ISSUER: 'i'.repeat(255), JWT_AUDIENCE: '⚿'.repeat(43) }), [
    'JWT_ISSUER is longer than 254 bytes',
    'JWT_AUDIENCE is longer than 126 bytes',
  ])
})
