import type { z } from 'zod'
import type { Claims } from '../tokens/claims.ts'
import type { AccessToken } from '../tokens/mint.ts'
import type { Transport } from './cookie.ts'
import type { Tokens } from './issue.ts'
import type { AccessTokenBody, SessionBody, TokensBody } from './schemas.ts'
import type { Session } from './store.ts'

/** Tokens as they go over the wire; in cookie mode without the refresh token, which no script is to see. */
export function tokensBody(tokens: Tokens, transport: Transport): z.input<typeof TokensBody> {
  return {
    access_token: tokens.accessToken,
    token_type: 'Bearer',
    expires_in: tokens.expiresIn,
    ...(transport === 'body' && { refresh_token: tokens.refreshToken }),
    refresh_token_expires_in: tokens.refreshTokenExpiresIn,
    scope: tokens.scope,
  }
}

/** An access token alone as it goes over the wire. */
export function accessTokenBody({ token, expiresIn, scope }: AccessToken): z.input<typeof AccessTokenBody> {
  return { access_token: token, token_type: 'Bearer', expires_in: expiresIn, scope }
}

/** A session as it goes over the wire, to who asks by a token with these claims. */
export function sessionBody(session: Session, { sid }: Pick<Claims, 'sid'>): z.input<typeof SessionBody> {
  return {
    id: session.id,
    created_at: new Date(session.created_at).toISOString(),
    last_used_at: new Date(session.last_used_at).toISOString(),
    expires_at: new Date(session.expires_at).toISOString(),
    ip: session.ip,
    user_agent: session.user_agent,
    current: session.id === sid,
  }
}
