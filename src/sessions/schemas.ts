import { z } from 'zod'
import { EmailAddress, Id, Password, Timestamp } from '../http/schemas.ts'

const Scope = z
  .string()
  .max(1_000)
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/, 'must be scopes separated by spaces')
  .meta({ example: 'account' })

const Audience = z.string().min(1).max(256).meta({ example: 'latchkey' })

/** What a client may ask of a token. */
const wish = {
  scope: Scope.optional().meta({
    description: 'Scopes, separated by spaces: fewer than all there are, never more (RFC 6749 section 3.3).',
  }),
  audience: Audience.optional().meta({
    description:
      'For which service the access token is: one of JWT_OTHER_AUDIENCES. Without it, for this one.',
  }),
}

/** Where the refresh token travels; in bodies unless it is given. */
export const Transport = z
  .enum(['body', 'cookie'])
  .optional()
  .meta({
    description:
      'Where the refresh token travels: `body`, unless it is given. `cookie` is for pages on the same site: it ' +
      'stands in `__Host-latchkey` (HttpOnly, Secure, SameSite=Strict) and in no body. It needs the header ' +
      '`Latchkey-Transport: cookie`, and an Origin of CORS_ORIGINS or of JWT_ISSUER.',
  })

export const LoginRequest = z
  .strictObject({ email: EmailAddress, password: Password, ...wish, transport: Transport })
  .meta({ id: 'LoginRequest' })

export const RefreshRequest = z
  .strictObject({
    refresh_token: z.string().min(1).max(256).optional().meta({
      description: 'Needed, unless `transport` is `cookie`: then it must not be there.',
      example: 'lkr_AZorPE1eX2CK...',
    }),
    ...wish,
    transport: Transport,
  })
  .refine(({ refresh_token, transport }) => (refresh_token === undefined) === (transport === 'cookie'), {
    path: ['refresh_token'],
    message: 'must stand in the body, or with transport cookie in the cookie alone',
  })
  .meta({ id: 'RefreshRequest' })

export const CredentialRequest = z
  .strictObject({
    credential: z.string().min(1).max(256).meta({
      description: 'As `latchkey accounts create --service` prints it.',
      example: 'lkc_AZorPE1eX2CK...',
    }),
    ...wish,
  })
  .meta({ id: 'CredentialRequest' })

export const LogoutRequest = z
  .strictObject({
    scope: z
      .enum(['this', 'others', 'all'])
      .default('this')
      .meta({ description: 'This session, all the others of the account, or all.' }),
    transport: Transport.meta({
      description:
        '`cookie` removes the cookie as well, unless only others end; it needs what it needs at a login.',
    }),
  })
  .meta({ id: 'LogoutRequest' })

const AccessTokenFields = {
  access_token: z
    .string()
    .meta({ description: 'For `Authorization: Bearer`.', example: 'eyJhbGciOiJIUzI1NiIs...' }),
  token_type: z.literal('Bearer'),
  expires_in: z
    .int()
    .nonnegative()
    .meta({ description: 'Seconds until the access token expires.', example: 600 }),
}

const GrantedScope = z.string().meta({ description: 'Scopes, separated by spaces.', example: 'account' })

export const TokensBody = z
  .object({
    ...AccessTokenFields,
    refresh_token: z.string().optional().meta({
      description: 'For one refresh. Always there, unless `transport` was `cookie`.',
      example: 'lkr_AZorPE1eX2CK...',
    }),
    refresh_token_expires_in: z
      .int()
      .nonnegative()
      .meta({ description: 'Seconds until the refresh token expires, unused.', example: 604_800 }),
    scope: GrantedScope,
  })
  .meta({ id: 'Tokens', description: 'What lets you in (RFC 6749 section 5.1).' })

export const AccessTokenBody = z
  .object({ ...AccessTokenFields, scope: GrantedScope })
  .meta({ id: 'AccessToken', description: 'What lets a service in (RFC 6749 section 4.4.3).' })

export const ClaimsBody = z
  .object({
    sub: Id.meta({ description: 'The account.' }),
    sid: Id.meta({ description: 'The session.' }),
    roles: z.array(z.string()).meta({ example: ['user'] }),
    scope: z.string().meta({ example: 'account' }),
    iss: z.string().meta({ example: 'http://localhost:3000' }),
    aud: z.string().meta({ example: 'latchkey' }),
    iat: z.int().nonnegative().meta({ description: 'Seconds since 1970.', example: 1_769_851_800 }),
    exp: z.int().nonnegative().meta({ description: 'Seconds since 1970.', example: 1_769_852_400 }),
    jti: Id.meta({ description: 'The token itself.' }),
  })
  .meta({ id: 'Claims', description: 'The verified claims of the access token (RFC 9068 section 2.2).' })

export const SessionBody = z
  .object({
    id: Id,
    created_at: Timestamp,
    last_used_at: Timestamp.meta({ description: 'When it was last refreshed.' }),
    expires_at: Timestamp.meta({ description: 'When it ends unless it is refreshed before.' }),
    ip: z.string().meta({ description: 'From where it was opened.', example: '192.0.2.7' }),
    user_agent: z.string().nullable().meta({ example: 'curl/8.14.1' }),
    current: z.boolean().meta({ description: 'Whether it is the one that asks.' }),
  })
  .meta({ id: 'Session' })

export const SessionListBody = z.object({ sessions: z.array(SessionBody) }).meta({ id: 'SessionList' })

export const SessionParams = z.object({ id: Id.overwrite((id) => id.toLowerCase()) })
