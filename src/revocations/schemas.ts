import { z } from 'zod'
import { Id, Timestamp } from '../http/schemas.ts'

const Cursor = z.string().meta({
  description: 'Opaque.',
  example: '0f9f4f0e-5a0c-4a6b-9a53-5f6f2c3f1a10.42',
})

export const FeedQuery = z.strictObject({
  after: Cursor.max(64)
    .optional()
    .meta({ description: 'The cursor of the last answer; without it, from the beginning.' }),
})

const RevocationBody = z
  .object({
    sid: Id.optional().meta({ description: 'The session that ended: refuse every token of it.' }),
    sub: Id.optional().meta({ description: 'The account whose roles changed.' }),
    roles: z
      .array(z.string())
      .optional()
      .meta({ description: 'The roles of `sub` now: refuse its tokens with others.', example: ['user'] }),
    expires_at: Timestamp.meta({
      description: 'When it can be forgotten: no token that it refuses lives longer.',
    }),
  })
  .meta({
    id: 'Revocation',
    description: 'Either `sid`, or `sub` and `roles`. Later ones replace earlier ones.',
  })

export const FeedBody = z
  .object({
    revocations: z.array(RevocationBody),
    cursor: Cursor,
    more: z.boolean().meta({ description: 'Whether to ask again at once.' }),
    age: z
      .number()
      .meta({ description: 'All that was revoked up to so many seconds ago is known here.', example: 0.1 }),
  })
  .meta({ id: 'Revocations' })
