import { Command } from 'commander'
import { Limit } from '../admin/schemas.ts'
import { createAudit } from '../audit/audit.ts'
import { COMMAND_LINE } from '../audit/events.ts'
import { Actor, EventName, EventOutcome, IpAddress } from '../audit/schemas.ts'
import { createAuditStore } from '../audit/store.ts'
import { auditEventBody } from '../audit/wire.ts'
import { durationUpTo } from '../duration.ts'
import { auditTable } from './account-tables.ts'
import { checked, HELP_HINT } from './environment.ts'
import { operator, requireId, withAdmin } from './operator.ts'

/** Seconds: longer than any event is kept. */
const LONGEST_AGO = 3_650 * 86_400

const Since = durationUpTo(LONGEST_AGO, '24h or 7d').transform((seconds) => Date.now() - seconds * 1_000)

/** latchkey audit: what happened to accounts and sessions. */
export function auditCommand(): Command {
  return new Command('audit')
    .description('what happened to accounts and sessions, the newest first')
    .option('--account <account>', 'what was done to this one: its id or address')
    .option('--actor <actor>', `who did it: the id of an account, or ${COMMAND_LINE}`)
    .option('--event <name>', 'what happened: login_failed')
    .option('--outcome <outcome>', 'success or failure')
    .option('--ip <address>', 'from where it came')
    .option('--since <duration>', 'no longer ago than that: 24h')
    .option('--limit <number>', 'how many at most, up to 100', '20')
    .option('--cursor <cursor>', 'from where to go on, as the last list said')
    .option('--json', 'a JSON object a line')
    .showHelpAfterError(HELP_HINT)
    .action(listEvents)
}

interface AuditOptions {
  readonly account?: string
  readonly actor?: string
  readonly event?: string
  readonly outcome?: string
  readonly ip?: string
  readonly since?: string
  readonly limit: string
  readonly cursor?: string
  readonly json?: true
}

async function listEvents({ json, cursor, ...typed }: AuditOptions): Promise<void> {
  const wish = {
    actor: checked('--actor', Actor.optional(), typed.actor),
    event: checked('--event', EventName.optional(), typed.event),
    outcome: checked('--outcome', EventOutcome.optional(), typed.outcome),
    ip: checked('--ip', IpAddress.optional(), typed.ip),
    from: checked('--since', Since.optional(), typed.since),
    limit: checked('--limit', Limit, typed.limit),
    cursor,
  }
  await withAdmin(async ({ store, db, trail }) => {
    const account = typed.account === undefined ? undefined : await requireId(store, typed.account)
    const audit = createAudit({ store: createAuditStore(db), trail })
    const page = await audit.read({ ...wish, account }, operator)
    if (json) for (const event of page.events) console.log(JSON.stringify(auditEventBody(event)))
    else console.log(auditTable(page.events))
    if (page.nextCursor !== null) console.error(`latchkey: there is more: --cursor ${page.nextCursor}`)
  })
}
