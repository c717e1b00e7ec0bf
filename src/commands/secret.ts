import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { z } from 'zod'
import { durationUpTo } from '../duration.ts'
import { StartError } from '../start-error.ts'
import { LEEWAY } from '../tokens/claims.ts'
import { type Rotated, rotate, type Step, steps, TooEarly } from '../tokens/rotation.ts'
import { changeSecretFile } from '../tokens/secret-file.ts'
import { deriveSecret, formatSecret, generateSecret, parseSecrets } from '../tokens/secrets.ts'
import { checked, HELP_HINT, readConfig } from './environment.ts'

const LONGEST_PROPAGATION = 86_400

// As JWT_OTHER_AUDIENCES takes them.
const Audience = z.string().regex(/^(?=\S)[^\p{C},]{1,126}(?<=\S)$/u, 'must be one audience')

const Propagation = durationUpTo(LONGEST_PROPAGATION, '10s or 1m')

/** latchkey secret: makes secrets, replaces them, and derives from them. */
export function secretCommand(): Command {
  const secret = new Command('secret')
    .description('print a new secret for JWT_SECRET')
    .showHelpAfterError(HELP_HINT)
    .action(() => console.log(generateSecret()))

  secret
    .command('rotate')
    .description('replace the secret in a file that nodes have as JWT_SECRET_FILE, in three steps')
    .requiredOption('--file <path>', 'the file; nodes notice the change within a second')
    .addOption(
      new Option('--step <step>', 'next: add a new one; promote: sign with it; retire: drop the old one')
        .choices(steps)
        .makeOptionMandatory(),
    )
    .option(
      '--propagation <duration>',
      'how long it takes until every node, and who holds a derived secret, has what is written',
      '1m',
    )
    .addOption(new Option('--wait', 'wait until it is safe, and do it then').conflicts('now'))
    .option('--now', 'do it before it is safe: for a secret that leaked')
    .action(rotateFile)

  secret
    .command('derive')
    .description('print the secrets of one audience: they verify its tokens, and no others')
    .requiredOption('--audience <name>', 'one of JWT_OTHER_AUDIENCES')
    .option('--file <path>', 'a file with the secrets; JWT_SECRET or JWT_SECRET_FILE unless it is given')
    .action(derive)

  return secret
}

interface RotateOptions {
  readonly file: string
  readonly step: Step
  readonly propagation: string
  readonly wait?: true
  readonly now?: true
}

async function rotateFile({ file, step, wait, now, ...options }: RotateOptions): Promise<void> {
  const propagation = checked('--propagation', Propagation, options.propagation)
  const { accessTokenTtl } = readConfig({ needsSecret: false })
  const parts = {
    newSecret: generateSecret(),
    propagation,
    // One clock may be ahead where a token is signed, and another behind where it is verified.
    tokenLife: accessTokenTtl + 2 * LEEWAY,
    atOnce: now === true,
  }
  const change = () =>
    inFile(file, () => changeSecretFile(file, (text) => rotate(step, text, { ...parts, now: Date.now() })))
  const { kids, following } = await (wait ? onceItIsSafe(change) : change())
  const [signing, ...others] = kids
  console.log(`signs: ${signing}`)
  if (others.length > 0) console.log(`verify too: ${others.join(', ')}`)
  if (following !== undefined) {
    console.log(`then: --step ${following.step}, safe at ${new Date(following.at).toISOString()}`)
  }
}

async function onceItIsSafe(change: () => Rotated): Promise<Rotated> {
  for (;;) {
    try {
      return change()
    } catch (error) {
      const early = (error as Error).cause
      if (!(early instanceof TooEarly)) throw error
      await setTimeout(Math.max(0, early.at - Date.now()))
    }
  }
}

interface DeriveOptions {
  readonly audience: string
  readonly file?: string
}

function derive({ audience, file }: DeriveOptions): void {
  const name = checked('--audience', Audience, audience)
  const config = readConfig({ needsSecret: false })
  if (name === config.audience) {
    throw new StartError(`--audience ${name} is JWT_AUDIENCE: its tokens are signed by the secret itself`)
  }
  const secrets =
    file === undefined ? config.secrets : inFile(file, () => parseSecrets(readFileSync(file, 'utf8')))
  if (secrets === undefined) {
    throw new StartError(
      'there is no secret to derive from: set JWT_SECRET or JWT_SECRET_FILE, or say --file',
    )
  }
  console.log(secrets.map((secret) => formatSecret(deriveSecret(secret, name))).join(','))
}

// Whatever is wrong with the file is said in one line, and never what is in it.
function inFile<Result>(file: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const { code, path, message } = error as NodeJS.ErrnoException
    if (code === undefined) throw new StartError(`${file}: ${message}`, { cause: error })
    if (code === 'EEXIST') {
      throw new StartError(
        `${path} is there: somebody is changing the secrets, or left it behind; then remove it`,
      )
    }
    throw new StartError(`${file} can't be read or changed (${code})`)
  }
}
