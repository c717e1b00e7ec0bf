import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { sqlitePath } from './database/sqlite.ts'
import { durationUpTo } from './duration.ts'
import { LONGEST_PASSWORD } from './passwords/policy.ts'
import { LONGEST_TOKEN_TTL } from './tokens/claims.ts'
import { builtInRoles, parseRoles, type Roles } from './tokens/roles.ts'
import { parseSecrets } from './tokens/secrets.ts'

const DAY = 86_400

// In bytes, as they stand in a token: with quotes around them.
const LONGEST_ISSUER = 256
const LONGEST_AUDIENCE = 128

/** Everything that can be set, by the variable's name. A default is written as a user would write it. */
const Environment = z.object({
  // A word that nobody knows could be a slip for production.
  NODE_ENV: oneOf('development', 'test', 'production').default('development'),
  JWT_SECRET: z.string().transform(parsedBy(parseSecrets)).optional(),
  JWT_ISSUER: party(LONGEST_ISSUER).default('http://localhost:3000'),
  JWT_AUDIENCE: party(LONGEST_AUDIENCE).default('latchkey'),
  JWT_OTHER_AUDIENCES: z.string().transform(audiences).prefault('none'),
  ROLES: z.string().transform(parsedBy(parseRoles)).optional(),
  ACCESS_TOKEN_TTL: duration(LONGEST_TOKEN_TTL).prefault('10m'),
  REFRESH_TOKEN_TTL: duration(365 * DAY).prefault('7d'),
  SESSION_TTL: duration(365 * DAY).prefault('30d'),
  REVOCATION_MAX_STALENESS: z
    .union(
      [z.literal('none'), duration(DAY)],
      'must be none, or a duration such as 30s, 10m or 7d, at most 1d',
    )
    .prefault('none'),
  DATABASE_URL: z
    .string()
    .refine(isDatabaseUrl, 'must be file: and a path, or a postgres:// URL')
    .default('file:./data/latchkey.db'),
  DATABASE_POOL_SIZE: integer(1, 1_000).prefault('10'),
  HOST: z.string().default('127.0.0.1'),
  PORT: integer(0, 65_535).prefault('3000'),
  TRUST_PROXY: z.string().transform(proxies).prefault('off'),
  CORS_ORIGINS: z.string().transform(origins).prefault('none'),
  DOCS: oneOf('on', 'off').default('on'),
  WORKERS: z
    .union([z.literal('auto'), integer(1, 256)], 'must be auto, or a whole number from 1 to 256')
    .prefault('1'),
  METRICS_PORT: z
    .union([z.literal('none'), integer(0, 65_535)], 'must be none, or a whole number from 0 to 65535')
    .prefault('none'),
  ATTEMPTS_PER_ADDRESS: integer(1, 1_000_000).prefault('20'),
  AUDIT_RETENTION: duration(3_650 * DAY).prefault('90d'),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must be an http:// or https:// URL')
    .optional(),
  LOG_LEVEL: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent').default('info'),
  LOG_REQUESTS: oneOf('on', 'off').default('off'),
  PASSWORD_MIN_LENGTH: integer(8, LONGEST_PASSWORD).prefault('15'),
  // OWASP's floor for argon2id: 19 MiB, two passes, one thread.
  ARGON2_MEMORY_KIB: integer(19_456, 4_194_304).prefault('19456'),
  ARGON2_PASSES: integer(2, 100).prefault('2'),
  ARGON2_PARALLELISM: integer(1, 16).prefault('1'),
  UV_THREADPOOL_SIZE: integer(1, 1_024).prefault('4'),
})

// Node takes it from the environment itself, so it has to stand there.
const READ_BY_NODE = 'UV_THREADPOOL_SIZE'

/** The names of all variables, as .env.example and README list them. */
export const variableNames = Object.keys(Environment.shape)

/** What the service is told. Durations are in seconds. */
export interface Config {
  readonly production: boolean
  /** The first signs, all verify; undefined where the service may make its own. */
  readonly secrets: readonly Buffer[] | undefined
  /** The file that they came from, if they came from one. */
  readonly secretsFile: string | undefined
  readonly issuer: string
  readonly audience: string
  /** Audiences beside our own, for which tokens can be asked. */
  readonly otherAudiences: readonly string[]
  readonly roles: Roles
  /** How long the guard goes on without hearing of revocations; undefined is without an end. */
  readonly maxStaleness: number | undefined
  readonly accessTokenTtl: number
  readonly refreshTokenTtl: number
  readonly sessionTtl: number
  readonly databaseUrl: string
  readonly databasePoolSize: number
  readonly host: string
  readonly port: number
  /** The addresses of proxies whose X-Forwarded-For is believed. */
  readonly trustProxy: readonly string[] | false
  /** Whose pages may call this service from a browser: exact origins. */
  readonly corsOrigins: readonly string[]
  /** Whether there is a page to read the contract on. */
  readonly docs: boolean
  /** Processes that serve; one is without a supervisor. */
  readonly workers: number
  /** Where metrics are served; undefined is beside everything else. */
  readonly metricsPort: number | undefined
  /** Failed attempts, and sign-ups, of one address in a minute. */
  readonly attemptsPerAddress: number
  readonly auditRetention: number
  /** Where traces go; undefined is nowhere. */
  readonly tracesEndpoint: string | undefined
  readonly logLevel: string
  readonly logRequests: boolean
  readonly passwordMinLength: number
  readonly argon2: {
    readonly memoryKib: number
    readonly passes: number
    readonly parallelism: number
    readonly concurrency: number
  }
}

/** Everything that is wrong with the configuration, a line each, by the variable's name and never by its value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(faults.join('\n'))
    this.faults = faults
  }
}

export interface ConfigOptions {
  /** Whether JWT_SECRET is required in production; true unless it is given. */
  readonly needsSecret?: boolean
}

/**
 * Reads the configuration. Each NAME but UV_THREADPOOL_SIZE may be given as NAME_FILE, a path whose content is the
 * value; a variable that is empty is not set.
 *
 * @param env the process's environment
 * @throws ConfigError with every fault at once
 */
export function parseConfig(
  env: Readonly<Record<string, string | undefined>>,
  { needsSecret = true }: ConfigOptions = {},
): Config {
  const faults: string[] = []
  const given = Object.fromEntries(
    variableNames.map((name) => [name, givenValue(name, env, (fault) => faults.push(fault))]),
  )
  const result = Environment.safeParse(given)
  if (!result.success) {
    for (const { path, message } of result.error.issues) faults.push(`${String(path[0])} ${message}`)
  }
  const production = given.NODE_ENV === 'production'
  if (
    production &&
    needsSecret &&
    given.JWT_SECRET === undefined &&
    !faults.some((fault) => fault.startsWith('JWT_SECRET'))
  ) {
    faults.push('JWT_SECRET is required in production: make one with `latchkey secret`')
  }
  if (faults.length > 0 || !result.success) throw new ConfigError(faults)

  const values = result.data
  const cores = availableParallelism()
  const workers = values.WORKERS === 'auto' ? cores : values.WORKERS
  return Object.freeze({
    production,
    secrets: values.JWT_SECRET,
    secretsFile: env.JWT_SECRET_FILE || undefined,
    issuer: values.JWT_ISSUER,
    audience: values.JWT_AUDIENCE,
    otherAudiences: values.JWT_OTHER_AUDIENCES.filter((name) => name !== values.JWT_AUDIENCE),
    roles: values.ROLES ?? builtInRoles,
    maxStaleness: values.REVOCATION_MAX_STALENESS === 'none' ? undefined : values.REVOCATION_MAX_STALENESS,
    accessTokenTtl: values.ACCESS_TOKEN_TTL,
    refreshTokenTtl: values.REFRESH_TOKEN_TTL,
    sessionTtl: values.SESSION_TTL,
    databaseUrl: values.DATABASE_URL,
    databasePoolSize: values.DATABASE_POOL_SIZE,
    host: values.HOST,
    port: values.PORT,
    trustProxy: values.TRUST_PROXY,
    corsOrigins: values.CORS_ORIGINS,
    docs: values.DOCS === 'on',
    workers,
    metricsPort: values.METRICS_PORT === 'none' ? undefined : values.METRICS_PORT,
    attemptsPerAddress: values.ATTEMPTS_PER_ADDRESS,
    auditRetention: values.AUDIT_RETENTION,
    tracesEndpoint: values.OTEL_EXPORTER_OTLP_ENDPOINT,
    logLevel: values.LOG_LEVEL,
    logRequests: values.LOG_REQUESTS === 'on',
    passwordMinLength: values.PASSWORD_MIN_LENGTH,
    argon2: Object.freeze({
      memoryKib: values.ARGON2_MEMORY_KIB,
      passes: values.ARGON2_PASSES,
      parallelism: values.ARGON2_PARALLELISM,
      // Workers share the cores. A thread of libuv's pool stays free: files and DNS wait in the same line.
      concurrency: Math.max(1, Math.min(Math.floor(cores / workers), values.UV_THREADPOOL_SIZE - 1)),
    }),
  })
}

function givenValue(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
  fault: (line: string) => void,
): string | undefined {
  const value = env[name] || undefined
  const file = name === READ_BY_NODE ? undefined : env[`${name}_FILE`] || undefined
  if (file === undefined) return value
  if (value !== undefined) fault(`${name} and ${name}_FILE are both set`)
  try {
    return readFileSync(file, 'utf8').trim() || undefined
  } catch (error) {
    fault(`${name}_FILE can't be read (${(error as NodeJS.ErrnoException).code})`)
    return undefined
  }
}

function oneOf<const Word extends string>(...words: readonly Word[]) {
  return z.enum(words, `must be one of ${words.join(', ')}`)
}

function duration(longest: number) {
  return durationUpTo(longest, '30s, 10m or 7d')
}

function integer(least: number, most: number) {
  return z.string().transform((text, context) => {
    const value = Number(text)
    if (/^\d{1,10}$/.test(text) && value >= least && value <= most) return value
    context.addIssue(`must be a whole number from ${least} to ${most}`)
    return z.NEVER
  })
}

function parsedBy<Value>(parse: (text: string) => Value) {
  return (text: string, context: z.RefinementCtx): Value => {
    try {
      return parse(text)
    } catch (error) {
      context.addIssue((error as Error).message)
      return z.NEVER
    }
  }
}

// Who makes tokens, or whom they are for.
function party(longest: number) {
  return z
    .string()
    .regex(/^\P{C}+$/u, 'has a control character')
    .refine(
      (name) => Buffer.byteLength(JSON.stringify(name)) <= longest,
      `is longer than ${longest - 2} bytes`,
    )
}

function audiences(text: string, context: z.RefinementCtx): readonly string[] {
  if (text === 'none') return []
  const names = text.split(',').map((name) => name.trim())
  const schema = party(LONGEST_AUDIENCE)
  if (names.every((name) => schema.safeParse(name).success)) return [...new Set(names)]
  context.addIssue(`must be none, or audiences of at most ${LONGEST_AUDIENCE - 2} bytes separated by commas`)
  return z.NEVER
}

// As browsers send it (RFC 6454 section 6.2), so that it can be compared as it is.
function origins(text: string, context: z.RefinementCtx): readonly string[] {
  if (text === 'none') return []
  const given = text.split(',').map((origin) => origin.trim())
  if (given.every(isOrigin)) return given
  context.addIssue('must be none, or origins such as https://app.example.com separated by commas')
  return z.NEVER
}

// A host may have an asterisk in it, as far as URLs go; here it would be no wildcard.
function isOrigin(text: string): boolean {
  return /^https?:[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text
}

// Exact networks only: to believe any proxy, or a number of them, is to believe whoever can reach the port.
function proxies(text: string, context: z.RefinementCtx): readonly string[] | false {
  if (text === 'off') return false
  const networks = text.split(',').map((network) => network.trim())
  if (networks.every(isNetwork)) return networks
  context.addIssue('must be off, or addresses and CIDRs separated by commas')
  return z.NEVER
}

function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/')
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] as number
  return (
    rest.length === 0 &&
    bits > 0 &&
    (prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits))
  )
}

function isDatabaseUrl(text: string): boolean {
  if (!text.startsWith('file:')) return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text)
  try {
    return sqlitePath(text) !== ''
  } catch {
    // file://latchkey.db names a host, not a path.
    return false
  }
}
