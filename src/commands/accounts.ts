import { Command } from 'commander'
import { z } from 'zod'
import { Status } from '../accounts/schemas.ts'
import { Limit, SearchText } from '../admin/schemas.ts'
import type { OperatorChange } from '../admin/store.ts'
import { accountDetailsBody, adminAccountBody } from '../admin/wire.ts'
import { COMMAND_LINE } from '../audit/events.ts'
import { addCreation } from './account-creation.ts'
import { accountDetails, accountTable } from './account-tables.ts'
import { checked, HELP_HINT } from './environment.ts'
import { checkedRole, operator, requireId, withAdmin } from './operator.ts'

const SessionId = z.uuid('must be an id').toLowerCase()

/** latchkey accounts: what an operator does to accounts, straight in the database. */
export function accountsCommand(): Command {
  const accounts = new Command('accounts')
    .description('what an operator does to accounts')
    .showHelpAfterError(HELP_HINT)
  addCreation(accounts)

  accounts
    .command('list')
    .description('find accounts, the newest first')
    .option('--query <text>', 'what stands somewhere in the address or the name, or the whole id')
    .option('--role <role>', 'those that have it')
    .option('--status <status>', 'active or disabled')
    .option('--limit <number>', 'how many at most, up to 100', '20')
    .option('--cursor <cursor>', 'from where to go on, as the last list said')
    .option('--json', 'a JSON object a line')
    .action(listAccounts)

  accounts
    .command('show')
    .description('show an account with its sessions and credentials')
    .argument('<account>', 'its id or address')
    .option('--json', 'as a JSON object')
    .action(showAccount)

  accounts
    .command('disable')
    .description('let an account in no more: what it has open ends at once, on every node')
    .argument('<account>', 'its id or address')
    .action((account: string) => changeAccount(account, { status: 'disabled' }))

  accounts
    .command('enable')
    .description('let an account log in again')
    .argument('<account>', 'its id or address')
    .action((account: string) => changeAccount(account, { status: 'active' }))

  accounts
    .command('roles')
    .description('give an account these roles and no others')
    .argument('<account>', 'its id or address')
    .argument('<role...>', 'its roles')
    .action((account: string, roles: string[]) => changeAccount(account, { roles: [...new Set(roles)] }))

  accounts
    .command('sign-out')
    .description('end the sessions and credentials of an account')
    .argument('<account>', 'its id or address')
    .option('--session <id>', 'this one alone')
    .action(signOut)

  accounts
    .command('reset-attempts')
    .description('forget the failed logins at an account, so that its owner may try again at once')
    .argument('<account>', 'its id or address')
    .action(resetAttempts)

  return accounts
}

interface ListOptions {
  readonly query?: string
  readonly role?: string
  readonly status?: string
  readonly limit: string
  readonly cursor?: string
  readonly json?: true
}

async function listAccounts({ query, cursor, json, ...typed }: ListOptions): Promise<void> {
  const text = checked('--query', SearchText.optional(), query)
  const status = checked('--status', Status.optional(), typed.status)
  const limit = checked('--limit', Limit, typed.limit)
  await withAdmin(async ({ admin, config }) => {
    const role = typed.role === undefined ? undefined : checkedRole('--role', typed.role, config)
    const page = await admin.list({ text, role, status, limit, cursor }, operator)
    if (json) for (const account of page.accounts) printJson(adminAccountBody(account))
    else console.log(accountTable(page.accounts))
    if (page.nextCursor !== null) console.error(`latchkey: there is more: --cursor ${page.nextCursor}`)
  })
}

async function showAccount(typed: string, { json }: { readonly json?: true }): Promise<void> {
  await withAdmin(async ({ admin, store }) => {
    const found = await admin.read(await requireId(store, typed), operator)
    if (json) printJson(accountDetailsBody(found, COMMAND_LINE))
    else console.log(accountDetails(found))
  })
}

async function changeAccount(typed: string, change: OperatorChange): Promise<void> {
  await withAdmin(async ({ admin, store, config }) => {
    for (const role of change.roles ?? []) checkedRole('<role>', role, config)
    const account = await admin.change(await requireId(store, typed), change, operator)
    console.log(accountTable([account]))
  })
}

async function signOut(typed: string, options: { readonly session?: string }): Promise<void> {
  const session = checked('--session', SessionId.optional(), options.session)
  await withAdmin(async ({ admin, store }) => {
    const ended = await admin.signOut(await requireId(store, typed), operator, session)
    console.log(`${ended} ended.`)
  })
}

async function resetAttempts(typed: string): Promise<void> {
  await withAdmin(async ({ admin, store }) => {
    await admin.resetAttempts(await requireId(store, typed), operator)
    console.log('Forgotten.')
  })
}

function printJson(body: object): void {
  console.log(JSON.stringify(body))
}
