#!/usr/bin/env node
import { Command, Option } from 'commander'
import type { z } from 'zod'
import { createRegistration } from './accounts/registration.ts'
import { SignupRequest } from './accounts/schemas.ts'
import { createAccountStore } from './accounts/store.ts'
import { type Config, ConfigError, parseConfig } from './config.ts'
import { createPasswords } from './passwords/passwords.ts'
import { createPolicy, isPassword } from './passwords/policy.ts'
import { PromptFault, readPassword } from './passwords/prompt.ts'
import { Problem } from './problem.ts'
import { connect, createLogger, StartError, serve } from './server.ts'
import { type Role, roles } from './tokens/roles.ts'
import { generateSecret } from './tokens/secrets.ts'
import { version } from './version.ts'

// sysexits.h: EX_CONFIG.
const EXIT_CONFIG = 78

const program = new Command('latchkey')
  .description('A small auth service: one login, one signed token, and no lookup per request.')
  .version(version)
  .showHelpAfterError('(latchkey --help says what there is)')
  .addHelpText(
    'after',
    `
Configuration comes from the environment and from .env in the current folder; README.md lists the variables.

Examples:
  $ latchkey serve
  $ latchkey secret > jwt-secret && JWT_SECRET_FILE=jwt-secret NODE_ENV=production latchkey serve
  $ latchkey accounts create --email ada@example.com --role admin`,
  )

program
  .command('serve')
  .description('run the service: migrates the database, listens, and drains on SIGTERM')
  .action(() => serve(readConfig()))

program
  .command('migrate')
  .description('bring the database up to date and exit')
  .action(async () => {
    await withDatabase(readConfig(), async () => {
      console.log('The database is up to date.')
    })
  })

program
  .command('secret')
  .description('print a new secret for JWT_SECRET')
  .action(() => console.log(generateSecret()))

program
  .command('accounts')
  .description('what an operator does to accounts')
  .command('create')
  .description(
    'make an account; the password is asked for, or read from standard input, never from the arguments',
  )
  .requiredOption('--email <address>', 'its address')
  .option('--name <name>', 'its name')
  .addOption(new Option('--role <roles...>', 'its roles').choices(roles).default(['user']))
  .action(createAccount)

interface CreateOptions {
  readonly email: string
  readonly name?: string
  readonly role: readonly Role[]
}

async function createAccount(options: CreateOptions): Promise<void> {
  const config = readConfig()
  const email = checked('--email', SignupRequest.shape.email, options.email)
  const name = checked('--name', SignupRequest.shape.name, options.name)
  const password = await readPassword(process.stdin, process.stderr)
  if (!isPassword(password)) throw new StartError('the password is too long or has a control character')
  await withDatabase(config, async ({ db }) => {
    const registration = createRegistration({
      store: createAccountStore(db),
      passwords: await createPasswords(config.argon2),
      policy: createPolicy(config.passwordMinLength),
      clock: Date.now,
    })
    const account = await registration.draft({ email, password, name: name ?? null }, [
      ...new Set(options.role),
    ])
    await registration.save(account)
    console.log(account.id)
  })
}

function checked<Value>(option: string, schema: z.ZodType<Value>, typed: unknown): Value {
  const { success, data, error } = schema.safeParse(typed)
  if (!success) throw new StartError(`${option} ${error.issues.map(({ message }) => message).join(', ')}`)
  return data
}

async function withDatabase(
  config: Config,
  work: (database: Awaited<ReturnType<typeof connect>>) => Promise<void>,
): Promise<void> {
  const database = await connect(config, createLogger({ logLevel: 'silent' }))
  try {
    await work(database)
  } finally {
    await database.close()
  }
}

function readConfig(): Config {
  try {
    process.loadEnvFile()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new ConfigError([`.env can't be read (${(error as NodeJS.ErrnoException).code})`])
    }
  }
  return parseConfig(process.env)
}

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof ConfigError) {
    for (const fault of error.faults) console.error(`latchkey: ${fault}`)
    process.exitCode = EXIT_CONFIG
  } else if (error instanceof StartError || error instanceof PromptFault || error instanceof Problem) {
    console.error(`latchkey: ${error.message}`)
    process.exitCode = 1
  } else {
    throw error
  }
}
