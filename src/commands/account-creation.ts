import { type Command, Option } from 'commander'
import { z } from 'zod'
import { createRegistration, type Registration } from '../accounts/registration.ts'
import { Name } from '../accounts/schemas.ts'
import { createAccountStore } from '../accounts/store.ts'
import { createCreation } from '../admin/creation.ts'
import { durationUpTo } from '../duration.ts'
import { EmailAddress } from '../http/schemas.ts'
import { createPasswords } from '../passwords/passwords.ts'
import { createPolicy, isPassword } from '../passwords/policy.ts'
import { readPassword } from '../passwords/prompt.ts'
import { StartError } from '../start-error.ts'
import { LONGEST_CREDENTIAL_SCOPE, ScopeName, USER } from '../tokens/roles.ts'
import { checked } from './environment.ts'
import { checkedRole, type OperatorTools, operator, requireId, withAdmin } from './operator.ts'

/** Seconds that a credential with an end may last. */
const LONGEST_CREDENTIAL = 3_650 * 86_400

// Whoever makes the first account may do so before the first node starts.
const MAKE_DATABASE = { mayMake: true }

const Scopes = z
  .array(z.string().refine(isScopeName, 'must be scopes of lower-case letters, digits and _.:/-'))
  .transform((names) => [...new Set(names)])
  .refine(
    (names) => names.join(' ').length <= LONGEST_CREDENTIAL_SCOPE,
    `has more than ${LONGEST_CREDENTIAL_SCOPE} characters`,
  )

const Expires = durationUpTo(LONGEST_CREDENTIAL, '12h or 90d')

/** latchkey accounts create, and latchkey accounts credential. */
export function addCreation(accounts: Command): void {
  accounts
    .command('create')
    .description(
      'make an account: of a person, whose password is asked for, or read from standard input, never from the ' +
        'arguments; or of a service, whose credential is printed, this once',
    )
    .option('--email <address>', 'the address of a person')
    .option('--name <name>', 'its name')
    .option('--role <roles...>', 'its roles; of a person: user unless they are given')
    .addOption(new Option('--service', 'make the account of a service').conflicts('email'))
    .addOption(new Option('--scope <scopes...>', "the scopes of a service's credential").conflicts('email'))
    .addOption(
      new Option(
        '--expires <duration>',
        "how long a service's credential is good: 90d; without an end unless given",
      ).conflicts('email'),
    )
    .action(createAccount)

  accounts
    .command('credential')
    .description('make another credential for a service account, and print it, this once')
    .argument('<account>', 'its id')
    .requiredOption('--scope <scopes...>', 'its scopes')
    .option('--label <text>', 'what tells it from the others')
    .option('--expires <duration>', 'how long it is good: 90d; without an end unless given')
    .action(addCredential)
}

interface CreateOptions {
  readonly email?: string
  readonly name?: string
  readonly role?: readonly string[]
  readonly service?: true
  readonly scope?: readonly string[]
  readonly expires?: string
}

async function createAccount(options: CreateOptions, command: Command): Promise<void> {
  const needed = options.service
    ? ({ name: '<name>', scope: '<scopes...>' } as const)
    : { email: '<address>' }
  for (const [option, value] of Object.entries(needed)) {
    if (!(option in options)) command.error(`error: required option '--${option} ${value}' not specified`)
  }
  await (options.service ? createService(options) : createPerson(options))
}

async function createPerson(options: CreateOptions): Promise<void> {
  const email = checked('--email', EmailAddress, options.email)
  const name = checked('--name', Name.optional(), options.name)
  await withAdmin(async (tools) => {
    const roles = rolesOf(options.role ?? [USER], tools)
    const password = await readPassword(process.stdin, process.stderr)
    if (!isPassword(password)) throw new StartError('the password is too long or has a control character')
    const creation = createCreation({ registration: await registrationOn(tools), ...tools, clock: Date.now })
    console.log(await creation.person({ email, password, name: name ?? null }, roles, operator))
  }, MAKE_DATABASE)
}

async function createService(options: CreateOptions): Promise<void> {
  const name = checked('--name', Name, options.name)
  const scopes = checked('--scope', Scopes, options.scope)
  const ttl = checked('--expires', Expires.optional(), options.expires)
  await withAdmin(async (tools) => {
    const roles = rolesOf(options.role ?? [], tools)
    const creation = createCreation({ registration: await registrationOn(tools), ...tools, clock: Date.now })
    const made = await creation.service({ name, roles, scopes, ttl }, operator)
    console.log(made.credential)
    console.error(`account ${made.accountId}\ncredential ${made.credentialId}`)
  }, MAKE_DATABASE)
}

interface CredentialOptions {
  readonly scope: readonly string[]
  readonly label?: string
  readonly expires?: string
}

async function addCredential(typed: string, options: CredentialOptions): Promise<void> {
  const scopes = checked('--scope', Scopes, options.scope)
  const label = checked('--label', Name.optional(), options.label)
  const ttl = checked('--expires', Expires.optional(), options.expires)
  await withAdmin(async ({ admin, store }) => {
    const account = await requireId(store, typed)
    const made = await admin.addCredential(account, { scopes, label, ttl }, operator)
    console.log(made.credential)
    console.error(`account ${account}\ncredential ${made.id}`)
  })
}

function isScopeName(name: string): boolean {
  return ScopeName.safeParse(name).success
}

function rolesOf(typed: readonly string[], { config }: OperatorTools): readonly string[] {
  return [...new Set(typed)].map((role) => checkedRole('--role', role, config))
}

async function registrationOn({ db, config }: OperatorTools): Promise<Registration> {
  return createRegistration({
    store: createAccountStore(db),
    passwords: await createPasswords(config.argon2),
    policy: createPolicy(config.passwordMinLength),
    clock: Date.now,
  })
}
