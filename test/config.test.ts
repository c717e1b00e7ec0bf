import { join } from 'node:path'
import t from 'tap'
import { parseConfig, variableNames } from '../src/config.ts'
import { builtInRoles } from '../src/tokens/roles.ts'
import { generateSecret, parseSecrets } from '../src/tokens/secrets.ts'
import { faultsOf } from './helpers/faults.ts'

t.test('nothing has to be set', async (t) => {
  t.match(parseConfig({}), {
    production: false,
    secrets: undefined,
    issuer: 'http://localhost:3000',
    audience: 'latchkey',
    otherAudiences: [],
    roles: builtInRoles,
    maxStaleness: undefined,
    secretsFile: undefined,
    accessTokenTtl: 600,
    refreshTokenTtl: 604_800,
    sessionTtl: 2_592_000,
    databaseUrl: 'file:./data/latchkey.db',
    databasePoolSize: 10,
    host: '127.0.0.1',
    port: 3000,
    trustProxy: false,
    corsOrigins: [],
    docs: true,
    workers: 1,
    metricsPort: undefined,
    attemptsPerAddress: 20,
    auditRetention: 7_776_000,
    tracesEndpoint: undefined,
    logLevel: 'info',
    logRequests: false,
    passwordMinLength: 15,
    argon2: { memoryKib: 19_456, passes: 2, parallelism: 1 },
  })
})

t.test('each variable is heard', async (t) => {
  const secret = generateSecret()
  const { roles, ...config } = parseConfig({
    NODE_ENV: 'production',
    JWT_SECRET: secret,
    JWT_ISSUER: 'https://auth.example.com',
    JWT_AUDIENCE: 'shop',
    JWT_OTHER_AUDIENCES: 'billing,https://api.example.com',
    ROLES: '{"editor":["articles:write"]}',
    ACCESS_TOKEN_TTL: '1h',
    REFRESH_TOKEN_TTL: '12h',
    SESSION_TTL: '365d',
    REVOCATION_MAX_STALENESS: '30s',
    DATABASE_URL: 'postgres://latchkey:secret@db.example.com/latchkey?sslmode=require',
    DATABASE_POOL_SIZE: '3',
    HOST: '::',
    PORT: '0',
    TRUST_PROXY: '10.0.0.0/8',
    CORS_ORIGINS: 'https://app.example.com, http://localhost:5173',
    DOCS: 'off',
    WORKERS: '2',
    METRICS_PORT: '9464',
    ATTEMPTS_PER_ADDRESS: '100',
    AUDIT_RETENTION: '365d',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.example.com:4318',
    LOG_LEVEL: 'silent',
    LOG_REQUESTS: 'on',
    PASSWORD_MIN_LENGTH: '8',
    ARGON2_MEMORY_KIB: '65536',
    ARGON2_PASSES: '3',
    ARGON2_PARALLELISM: '2',
    UV_THREADPOOL_SIZE: '2',
  })
  t.strictSame(roles.names, ['user', 'admin', 'editor'])
  t.strictSame(roles.scopesOf(['editor']), ['articles:write'])
  t.strictSame(config, {
    production: true,
    secrets: parseSecrets(secret),
    secretsFile: undefined,
    issuer: 'https://auth.example.com',
    audience: 'shop',
    otherAudiences: ['billing', 'https://api.example.com'],
    maxStaleness: 30,
    accessTokenTtl: 3_600,
    refreshTokenTtl: 43_200,
    sessionTtl: 31_536_000,
    databaseUrl: 'postgres://latchkey:secret@db.example.com/latchkey?sslmode=require',
    databasePoolSize: 3,
    host: '::',
    port: 0,
    trustProxy: ['10.0.0.0/8'],
    corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
    docs: false,
    workers: 2,
    metricsPort: 9464,
    attemptsPerAddress: 100,
    auditRetention: 31_536_000,
    tracesEndpoint: 'http://collector.example.com:4318',
    logLevel: 'silent',
    logRequests: true,
    passwordMinLength: 8,
    argon2: { memoryKib: 65_536, passes: 3, parallelism: 2, concurrency: 1 },
  })
})

t.test('what is empty is not set', async (t) => {
  const empty = Object.fromEntries(
    variableNames.flatMap((name) => [[name, ''] as const, [`${name}_FILE`, ''] as const]),
  )
  t.strictSame(parseConfig(empty), parseConfig({}))
})

t.test('what was read can no longer be changed', async (t) => {
  const config = parseConfig({})
  t.throws(() => Object.assign(config, { production: true }), TypeError)
  t.throws(() => Object.assign(config.argon2, { passes: 1 }), TypeError)
})

t.test('a file can hold the value, and the end of its line is no part of it', async (t) => {
  const secret = generateSecret()
  const folder = t.testdir({ secret: `${secret}\n`, issuer: 'https://auth.example.com\r\n', port: '8080' })
  const config = parseConfig({
    JWT_SECRET_FILE: join(folder, 'secret'),
    JWT_ISSUER_FILE: join(folder, 'issuer'),
    PORT_FILE: join(folder, 'port'),
  })
  t.strictSame(config.secrets, parseSecrets(secret))
  t.equal(config.secretsFile, join(folder, 'secret'), 'and where it is, so that it can be read again')
  t.equal(config.issuer, 'https://auth.example.com')
  t.equal(config.port, 8080)
})

t.test('an empty file is like an empty variable', async (t) => {
  t.equal(parseConfig({ PORT_FILE: join(t.testdir({ port: '\n' }), 'port') }).port, 3000)
})

t.test('a variable and its file are not both given', async (t) => {
  const folder = t.testdir({ port: '8080' })
  t.strictSame(faultsOf({ PORT: '8081', PORT_FILE: join(folder, 'port') }), [
    'PORT and PORT_FILE are both set',
  ])
})

t.test('what Node reads itself has no file', async (t) => {
  const folder = t.testdir({ size: '2' })
  const { argon2 } = parseConfig({ UV_THREADPOOL_SIZE_FILE: join(folder, 'size') })
  t.strictSame(argon2, parseConfig({}).argon2)
})

t.test('a file that is missing is named by its variable alone', async (t) => {
  const folder = t.testdir()
  t.strictSame(faultsOf({ JWT_SECRET_FILE: join(folder, 'canary') }), [
    "JWT_SECRET_FILE can't be read (ENOENT)",
  ])
  t.strictSame(faultsOf({ DATABASE_URL_FILE: folder }), ["DATABASE_URL_FILE can't be read (EISDIR)"])
  t.strictSame(
    faultsOf({ NODE_ENV: 'production', JWT_SECRET_FILE: join(folder, 'canary') }),
    ["JWT_SECRET_FILE can't be read (ENOENT)"],
    'and in production not called missing as well',
  )
})

// Wrong in each variable that can be wrong.
const canaries: Readonly<Record<string, string>> = {
  NODE_ENV: 'canary-0',
  JWT_SECRET: 'canary-a',
  JWT_ISSUER: 'canary-b\u0007',
  JWT_AUDIENCE: 'canary-c\u200b',
  JWT_OTHER_AUDIENCES: 'billing,,canary-r',
  ROLES: '{"Canary-S":[]}',
  ACCESS_TOKEN_TTL: 'canary-d',
  REFRESH_TOKEN_TTL: 'canary-e',
  SESSION_TTL: 'canary-f',
  REVOCATION_MAX_STALENESS: 'canary-t',
  DATABASE_URL: 'mysql://canary-g',
  DATABASE_POOL_SIZE: 'canary-h',
  PORT: 'canary-i',
  TRUST_PROXY: 'canary-j',
  CORS_ORIGINS: 'https://canary-u/',
  DOCS: 'canary-1',
  WORKERS: 'canary-v',
  METRICS_PORT: 'canary-w',
  ATTEMPTS_PER_ADDRESS: 'canary-x',
  AUDIT_RETENTION: 'canary-y',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'canary-z',
  LOG_LEVEL: 'canary-k',
  LOG_REQUESTS: 'canary-l',
  PASSWORD_MIN_LENGTH: 'canary-m',
  ARGON2_MEMORY_KIB: 'canary-n',
  ARGON2_PASSES: 'canary-o',
  ARGON2_PARALLELISM: 'canary-p',
  UV_THREADPOOL_SIZE: 'canary-q',
}
const cannotBeWrong = ['HOST']

t.test('every fault is told at once, a line each, by name and never by value', async (t) => {
  t.same([...Object.keys(canaries), ...cannotBeWrong].sort(), [...variableNames].sort())
  const faults = faultsOf({ ...canaries })
  t.strictSame(
    faults.map((fault) => fault.split(' ')[0]),
    variableNames.filter((name) => name in canaries),
  )
  for (const fault of faults) t.notMatch(fault, /canary|mysql|\n/i, fault)
  t.throws(() => parseConfig({ ...canaries }), { name: 'ConfigError', message: faults.join('\n') })
})

t.test('the content of a file is not told either', async (t) => {
  for (const [name, content] of Object.entries(canaries).filter(([name]) => !name.startsWith('UV_'))) {
    const faults = faultsOf({ [`${name}_FILE`]: join(t.testdir({ file: content }), 'file') })
    t.equal(faults.length, 1, name)
    t.ok(faults[0]?.startsWith(`${name} `), name)
    t.notMatch(faults[0], /canary|mysql/i, name)
  }
})

t.test('each fault says what would be right', async (t) => {
  t.strictSame(faultsOf({ ACCESS_TOKEN_TTL: '61m' }), [
    'ACCESS_TOKEN_TTL must be a duration such as 30s, 10m or 7d, at most 1h',
  ])
  t.strictSame(faultsOf({ SESSION_TTL: '366d' }), [
    'SESSION_TTL must be a duration such as 30s, 10m or 7d, at most 365d',
  ])
  t.strictSame(faultsOf({ REVOCATION_MAX_STALENESS: '25h' }), [
    'REVOCATION_MAX_STALENESS must be none, or a duration such as 30s, 10m or 7d, at most 1d',
  ])
  t.strictSame(faultsOf({ JWT_OTHER_AUDIENCES: ',' }), [
    'JWT_OTHER_AUDIENCES must be none, or audiences of at most 126 bytes separated by commas',
  ])
  t.strictSame(faultsOf({ ROLES: '["editor"]' }), [
    'ROLES must be an object that names, for each role, a list of scopes',
  ])
  t.strictSame(faultsOf({ ROLES: '{' }), ['ROLES is not JSON'])
  t.strictSame(faultsOf({ PORT: '65536' }), ['PORT must be a whole number from 0 to 65535'])
  t.strictSame(faultsOf({ LOG_REQUESTS: 'true' }), ['LOG_REQUESTS must be one of on, off'])
  t.strictSame(faultsOf({ DATABASE_URL: 'latchkey.db' }), [
    'DATABASE_URL must be file: and a path, or a postgres:// URL',
  ])
})
