import { z } from 'zod'
import { EmailAddress, Id, Password, Timestamp } from '../http/schemas.ts'
import { TokensBody, Transport } from '../sessions/schemas.ts'

/** Whether an account is let in. */
export const Status = z
  .enum(['active', 'disabled'], 'must be active or disabled')
  .meta({ id: 'AccountStatus', description: 'Whether it is let in.' })

/** What somebody or something is called. */
export const Name = z
  .string()
  .trim()
  .normalize('NFC')
  .refine((name) => name.isWellFormed() && /^\P{Cc}{1,100}$/u.test(name), 'must have 1 to 100 characters')
  .meta({ minLength: 1, maxLength: 100, example: 'Ada Lovelace' })

export const SignupRequest = z
  .strictObject({
    email: EmailAddress,
    password: Password.meta({
      description: 'At least PASSWORD_MIN_LENGTH characters (15), and not a common one.',
    }),
    name: Name.optional(),
    transport: Transport,
  })
  .meta({ id: 'SignupRequest' })

export const AccountChange = z
  .strictObject({
    name: Name.nullable().optional().meta({ description: 'null removes it.' }),
    email: EmailAddress.optional(),
    current_password: Password.optional().meta({ description: 'Needed to change the address.' }),
  })
  .refine(({ name, email }) => name !== undefined || email !== undefined, 'must change name or email')
  .refine(({ email, current_password }) => email === undefined || current_password !== undefined, {
    path: ['current_password'],
    message: 'is needed to change the address',
  })
  .meta({ id: 'AccountChange' })

export const PasswordChange = z
  .strictObject({ current_password: Password, new_password: Password })
  .meta({ id: 'PasswordChange' })

export const AccountDeletion = z.strictObject({ current_password: Password }).meta({ id: 'AccountDeletion' })

export const AccountBody = z
  .object({
    id: Id,
    email: z.string().meta({ format: 'idn-email', example: 'ada@example.com' }),
    name: z.string().nullable().meta({ example: 'Ada Lovelace' }),
    roles: z.array(z.string()).meta({ example: ['user'] }),
    status: Status,
    created_at: Timestamp,
    updated_at: Timestamp,
  })
  .meta({ id: 'Account' })

export const SignupBody = z.object({ account: AccountBody, tokens: TokensBody }).meta({ id: 'Signup' })
