import { z } from 'zod'
import { isEmail, normalizeEmail } from '../email.ts'
import { isPassword, LONGEST_PASSWORD } from '../passwords/policy.ts'
import { type ProblemCode, problemKinds } from '../problem.ts'

/** A point in time on the wire: RFC 3339 in UTC. */
export const Timestamp = z.iso.datetime().meta({ example: '2026-01-31T09:30:00.000Z' })

/** An id on the wire: a UUIDv7 (RFC 9562 section 5.7). */
export const Id = z.uuid().meta({ example: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071' })

/** An e-mail address as somebody types it; what comes out is normalized. */
export const EmailAddress = z
  .string()
  .overwrite(normalizeEmail)
  .refine(isEmail, 'must be an e-mail address')
  .meta({ format: 'idn-email', maxLength: 254, example: 'ada@example.com' })

/** A password as far as every password goes; whether it is good enough, the policy says. */
export const Password = z
  .string()
  .min(1)
  .refine(isPassword, `must have at most ${LONGEST_PASSWORD} characters and no control characters`)
  .meta({ format: 'password', maxLength: LONGEST_PASSWORD, example: 'a long walk by the river' })

const Code = z
  .enum(Object.keys(problemKinds) as [ProblemCode, ...ProblemCode[]])
  .meta({ id: 'ProblemCode', description: 'What went wrong: the stable part.', example: 'not_found' })

const FieldErrorBody = z
  .object({
    path: z.string().meta({ description: 'Where it is, as `a.b.0`.', example: 'email' }),
    message: z.string().meta({ description: 'What is wrong with it.', example: 'must be an e-mail address' }),
  })
  .meta({ id: 'FieldError' })

/** The body of every answer that is no success: RFC 9457. */
export const ProblemBody = z
  .object({
    type: z.string().meta({ format: 'uri', example: 'urn:latchkey:problem:not_found' }),
    title: z.string().meta({ example: problemKinds.not_found.title }),
    status: z.int().nonnegative().meta({ example: problemKinds.not_found.status }),
    detail: z.string().meta({ example: problemKinds.not_found.title }),
    code: Code,
    request_id: z.string().meta({ example: '0d6f8a52-1f0c-4a39-9d0e-7f2b9a4c1e55' }),
    errors: z.array(FieldErrorBody).optional().meta({ description: 'Which fields are wrong, and why.' }),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457). `code` is the stable part.' })
