import { z } from 'zod'
import { Limit } from '../admin/schemas.ts'
import { Id, Timestamp } from '../http/schemas.ts'
import { addressFrom, UNKNOWN_ADDRESS } from '../ip.ts'
import { COMMAND_LINE, type SecurityEvent, securityEvents } from './events.ts'

/** The name of an event. */
export const EventName = z
  .enum(Object.keys(securityEvents) as [SecurityEvent, ...SecurityEvent[]], 'must be the name of an event')
  .meta({ id: 'AuditEventName', description: 'What happened.' })

/** What came of it. */
export const EventOutcome = z
  .enum(['success', 'failure'], 'must be success or failure')
  .meta({ id: 'AuditEventOutcome', description: 'What came of it.' })

const AccountId = Id.overwrite((id) => id.toLowerCase())

/** Who did something. */
export const Actor = z
  .string()
  .overwrite((text) => text.toLowerCase())
  .refine((text) => text === COMMAND_LINE || Id.safeParse(text).success, `must be an id, or ${COMMAND_LINE}`)
  .meta({ example: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071' })

/** An address as somebody types it; what comes out is written as it is kept. */
export const IpAddress = z
  .string()
  .overwrite((text) => addressFrom(text) ?? text)
  .refine(
    (text) => addressFrom(text) !== undefined || text === UNKNOWN_ADDRESS,
    `must be an IP address, or ${UNKNOWN_ADDRESS}`,
  )

const Time = z.iso
  .datetime({ offset: true, error: 'must be a time (RFC 3339)' })
  .transform((text) => Date.parse(text))

const Cursor = z.string().meta({ description: 'Opaque.', example: 'before_AZorPE1eX2CKGyw9Tl9gcQ' })

/** What may be asked of one's own events. */
export const OwnAuditQuery = z.strictObject({
  event: EventName.optional().meta({ description: 'Those of that name.', example: 'login_failed' }),
  outcome: EventOutcome.optional().meta({ example: 'failure' }),
  from: Time.optional().meta({
    description: 'At that time or later.',
    type: 'string',
    format: 'date-time',
    example: '2026-01-31T00:00:00Z',
  }),
  until: Time.optional().meta({
    description: 'Before that time.',
    type: 'string',
    format: 'date-time',
    example: '2026-02-01T00:00:00Z',
  }),
  limit: Limit.meta({
    description: 'How many at most; 20 unless it is given.',
    type: 'integer',
    minimum: 1,
    maximum: 100,
    example: 20,
  }),
  cursor: Cursor.max(64)
    .optional()
    .meta({ description: 'The next_cursor of the last page; without it, from the newest on.' }),
})

export const AuditQuery = z.strictObject({
  account: AccountId.optional().meta({ description: 'What was done to that account.' }),
  actor: Actor.optional().meta({
    description: `What was done by that account, or on the command line: \`${COMMAND_LINE}\`.`,
  }),
  ip: IpAddress.optional().meta({ description: 'What came from that address.', example: '192.0.2.7' }),
  ...OwnAuditQuery.shape,
})

const Count = z.int().nonnegative()

const Details = z
  .object({
    reason: z.string().optional().meta({ description: 'Why it failed.', example: 'invalid_credentials' }),
    failures: Count.optional().meta({ description: 'How many in a row, this one included.' }),
    sessions_ended: Count.optional().meta({ description: 'How many sessions ended with it.' }),
    roles_before: z.array(z.string()).optional(),
    roles_after: z.array(z.string()).optional(),
    scopes: z.array(z.string()).optional().meta({ description: 'Of a credential.' }),
    accounts: Count.optional().meta({ description: 'How many accounts an operator was shown.' }),
    events: Count.optional().meta({ description: 'How many events an operator was shown.' }),
  })
  .meta({ id: 'AuditEventDetails', description: 'What else is to be said of it.' })

const fields = {
  id: Id,
  at: Timestamp,
  event: EventName,
  outcome: EventOutcome,
  session_id: Id.nullable().meta({ description: 'The session that it concerns.' }),
  ip: z.string().nullable().meta({ description: 'From where it came.', example: '192.0.2.7' }),
  user_agent: z.string().nullable().meta({ example: 'curl/8.14.1' }),
  request_id: z.string().nullable().meta({ example: '0d6f8a52-1f0c-4a39-9d0e-7f2b9a4c1e55' }),
  details: Details,
}

export const AuditEventBody = z
  .object({
    ...fields,
    actor: z
      .string()
      .nullable()
      .meta({
        description: `Who did it: the id of an account, or \`${COMMAND_LINE}\`; null where that is not known.`,
        example: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071',
      }),
    subject: Id.nullable().meta({ description: 'The account it was done to; null where there is none.' }),
  })
  .meta({ id: 'AuditEvent', description: 'A security event as operators see it.' })

const pageFields = { next_cursor: Cursor.nullable().meta({ description: 'null on the last page.' }) }

export const AuditPageBody = z
  .object({ events: z.array(AuditEventBody), ...pageFields })
  .meta({ id: 'AuditPage' })

const OwnAuditEventBody = z
  .object({
    ...fields,
    by: z.enum(['you', 'operator']).nullable().meta({
      description:
        'Who did it; null where that is not known, as of a failed login. From where an operator did it is not told.',
    }),
  })
  .meta({ id: 'OwnAuditEvent', description: 'A security event as the account that it concerns sees it.' })

export const OwnAuditPageBody = z
  .object({ events: z.array(OwnAuditEventBody), ...pageFields })
  .meta({ id: 'OwnAuditPage' })
