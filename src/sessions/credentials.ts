import { randomBytes, randomUUIDv7 } from 'node:crypto'
import type { Client, EventFields } from '../audit/events.ts'
import type { Trail } from '../audit/trail.ts'
import { UNKNOWN_ADDRESS } from '../ip.ts'
import { bytesOf, ID_BYTES, idBytes, idFrom } from '../opaque.ts'
import { Problem } from '../problem.ts'
import type { Throttle } from '../throttling/throttle.ts'
import type { AccessToken } from '../tokens/mint.ts'
import type { Issue, Wish } from './issue.ts'
import { hashOf } from './refresh-token.ts'
import type { NewSession, SessionStore } from './store.ts'

// lkc_ and base64url of: id (16 bytes), secret (32).
const PREFIX = 'lkc_'
const SECRET_BYTES = 32

/** The end of year 9999 in milliseconds since 1970, the last that RFC 3339 can write. */
const NEVER = 253_402_300_799_000

/** What a credential is for. */
export interface CredentialPurpose {
  readonly accountId: string
  readonly scopes: readonly string[]
  /** What tells it from the account's others. */
  readonly label: string
  /** Seconds for which it is good; undefined is without an end. */
  readonly ttl?: number | undefined
}

/**
 * A long-lived credential, in memory: the caller stores the row. It is a session that doesn't rotate: what lists, ends
 * and revokes sessions does so with credentials. Its id and secret are what OAuth calls client id and client secret.
 *
 * @param now milliseconds since 1970
 * @returns the row, and the credential as its holder keeps it: it can't be told from the row
 */
export function newCredential(
  { accountId, scopes, label, ttl }: CredentialPurpose,
  now: number,
): { readonly row: NewSession; readonly credential: string } {
  const id = randomUUIDv7()
  const secret = randomBytes(SECRET_BYTES)
  const row = {
    id,
    account_id: accountId,
    // Nobody knows the key, so nobody can make a refresh token for it.
    seal_key: randomBytes(SECRET_BYTES),
    secret_hash: hashOf(secret),
    rotation_salt: null,
    rotated_at: now,
    created_at: now,
    last_used_at: now,
    expires_at: ttl === undefined ? NEVER : now + ttl * 1_000,
    ip: UNKNOWN_ADDRESS,
    user_agent: label,
    kind: 'credential' as const,
    scope: scopes.join(' '),
  }
  return { row, credential: PREFIX + Buffer.concat([idBytes(id), secret]).toString('base64url') }
}

export interface CredentialsParts {
  readonly store: SessionStore
  readonly issue: Issue
  readonly throttle: Throttle
  readonly trail: Trail
  /** Milliseconds since 1970. */
  readonly clock: () => number
}

/** The rule of credentials. */
export function createCredentials({ store, issue, throttle, trail, clock }: CredentialsParts) {
  /** What is known of a credential that was refused. An id that somebody made up isn't kept. */
  async function known(id: string): Promise<Pick<EventFields, 'account_id' | 'session_id'>> {
    const session = await store.find(id)
    return session?.kind === 'credential' ? { account_id: session.account_id, session_id: id } : {}
  }

  return {
    /**
     * Gives an access token for a credential (as RFC 6749 section 4.4 does for a client's): there is nothing to refresh.
     *
     * @throws Problem invalid_credentials, or too_many_attempts in place of it; account_disabled; invalid_request for a
     *   scope that the credential doesn't have, or an audience that is not configured
     */
    async exchange(text: string, wish: Wish, client: Client): Promise<AccessToken> {
      issue.audienceOf(wish)
      const now = clock()
      const given = parseCredential(text)
      const used = given !== undefined && (await store.useCredential(given.id, hashOf(given.secret), now))
      const session = used ? await store.find(given.id) : undefined
      if (session === undefined) {
        await throttle.wrongToken(client)
        await trail.record('login_failed', client, {
          ...(given && (await known(given.id))),
          reason: 'invalid_credentials',
        })
        throw new Problem('invalid_credentials', { detail: 'The credential is not valid.' })
      }
      if (session.status === 'disabled') {
        await trail.record('login_failed', client, {
          account_id: session.account_id,
          session_id: session.id,
          reason: 'account_disabled',
        })
        throw new Problem('account_disabled')
      }
      return issue.accessTokenFor(session, issue.grant(session, wish), now)
    },
  }
}

/** @returns the parts of a credential, or undefined for whatever newCredential doesn't write */
function parseCredential(text: string): { readonly id: string; readonly secret: Buffer } | undefined {
  const bytes = bytesOf(text, PREFIX, ID_BYTES + SECRET_BYTES)
  return bytes && { id: idFrom(bytes), secret: bytes.subarray(ID_BYTES) }
}
