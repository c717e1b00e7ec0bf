import { z } from 'zod'
import { AccountBody, Name, Status } from '../accounts/schemas.ts'
import { Id, Timestamp } from '../http/schemas.ts'
import { SessionBody } from '../sessions/schemas.ts'

const LONGEST_QUERY = 256
const MOST_ROLES = 16
const MOST_ACCOUNTS = 100

const Cursor = z.string().meta({ description: 'Opaque.', example: 'below_AZorPE1eX2CKGyw9Tl9gcQ' })

/** What stands somewhere in an address or a name, or is an id. */
export const SearchText = z
  .string()
  .trim()
  .refine(
    (text) => text.isWellFormed() && /^\P{Cc}+$/u.test(text) && text.length <= LONGEST_QUERY,
    `must have 1 to ${LONGEST_QUERY} characters`,
  )

/** How many accounts a page has at most. */
export const Limit = z
  .string()
  .refine(
    (text) => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= MOST_ACCOUNTS,
    `must be from 1 to ${MOST_ACCOUNTS}`,
  )
  .transform(Number)
  .default(20)

export const ListQuery = z.strictObject({
  q: SearchText.optional().meta({
    description: 'What stands somewhere in the address or the name, in any case; or the whole id.',
    minLength: 1,
    maxLength: LONGEST_QUERY,
    example: 'lovelace',
  }),
  role: z.string().optional().meta({ description: 'Those that have it.', example: 'admin' }),
  status: Status.optional().meta({ example: 'active' }),
  limit: Limit.meta({
    description: 'How many at most; 20 unless it is given.',
    type: 'integer',
    minimum: 1,
    maximum: MOST_ACCOUNTS,
    example: 20,
  }),
  cursor: Cursor.max(64)
    .optional()
    .meta({ description: 'The next_cursor of the last page; without it, from the beginning.' }),
})

export const AccountParams = z.object({ id: Id.overwrite((id) => id.toLowerCase()) })

export const OperatorChange = z
  .strictObject({
    status: Status.optional(),
    roles: z
      .array(z.string())
      .min(1)
      .max(MOST_ROLES)
      .refine((roles) => new Set(roles).size === roles.length, 'must be different roles')
      .optional()
      .meta({ example: ['user', 'admin'] }),
    name: Name.nullable().optional().meta({ description: 'null removes it.' }),
  })
  .refine((change) => Object.keys(change).length > 0, 'must change status, roles or name')
  .meta({ id: 'OperatorChange' })

const fields = {
  ...AccountBody.shape,
  email: AccountBody.shape.email.nullable().meta({
    description: 'null for a service, which has none.',
    example: 'ada@example.com',
  }),
  kind: z.enum(['person', 'service']),
}

export const AdminAccountBody = z
  .object(fields)
  .meta({ id: 'AdminAccount', description: 'An account as operators see it.' })

export const AccountPageBody = z
  .object({
    accounts: z.array(AdminAccountBody),
    next_cursor: Cursor.nullable().meta({ description: 'null on the last page.' }),
  })
  .meta({ id: 'AccountPage' })

const AdminSessionBody = z
  .object({
    ...SessionBody.shape,
    kind: z
      .enum(['login', 'credential'])
      .meta({ description: 'Kept alive by refresh tokens, or the credential of a service.' }),
    scope: z.string().nullable().meta({
      description: 'What it was opened for; null for all that the roles bring.',
      example: 'revocations:read',
    }),
  })
  .meta({ id: 'AdminSession' })

export const AccountDetailsBody = z
  .object({
    ...fields,
    login_blocked_until: Timestamp.nullable().meta({
      description:
        'Until when its password is not tried from an address that has not logged in before; null if it is.',
    }),
    sessions: z.array(AdminSessionBody),
  })
  .meta({ id: 'AccountDetails', description: 'An account with its sessions, the last used first.' })
