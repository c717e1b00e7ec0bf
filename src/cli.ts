#!/usr/bin/env node
import { Command } from 'commander'
import { accountsCommand } from './commands/accounts.ts'
import { auditCommand } from './commands/audit.ts'
import { HELP_HINT, readConfig, withDatabase } from './commands/environment.ts'
import { secretCommand } from './commands/secret.ts'
import { ConfigError } from './config.ts'
import { PromptFault } from './passwords/prompt.ts'
import { Problem } from './problem.ts'
import { StartError } from './start-error.ts'
import { version } from './version.ts'

// sysexits.h: EX_CONFIG.
const EXIT_CONFIG = 78

const program = new Command('latchkey')
  .description('A small auth service: one login, one signed token, and no lookup per request.')
  .version(version)
  .showHelpAfterError(HELP_HINT)
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
  .action(async () => {
    const config = readConfig()
    // No other command needs it, and all are as quick as what they load.
    const { serve } = await import('./server.ts')
    await serve(config)
  })

program
  .command('migrate')
  .description('bring the database up to date and exit')
  .action(async () => {
    await withDatabase(
      async () => {
        console.log('The database is up to date.')
      },
      { mayMake: true },
    )
  })

program.addCommand(secretCommand())
program.addCommand(accountsCommand())
program.addCommand(auditCommand())

// console.log doesn't say that it failed, and a secret or a credential is printed this once. The service's log has a
// way of its own.
program.hook('preAction', (_program, command) => {
  if (command.name() === 'serve') return
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    console.error(`latchkey: standard output can't be written (${code})`)
    process.exitCode = 1
  })
})

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
