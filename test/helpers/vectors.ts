// Test vectors for whoever verifies Latchkey's tokens in another language: `npm run vectors` writes them.
import { writeFileSync } from 'node:fs'
import { LEEWAY, LONGEST_TOKEN, LONGEST_TOKEN_TTL } from '../../src/tokens/claims.ts'
import { REVOCATION_LIFE } from '../../src/tokens/revocations.ts'
import { deriveSecret, formatSecret, kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { type goodClaims, goodHeader, handMade, SECRET_BYTES } from './hand-made-tokens.ts'
import { hostileTokens } from './hostile-tokens.ts'
import { NOON } from './rows.ts'
import { SECRET } from './service.ts'

export interface Vector {
  readonly name: string
  readonly token: string
  readonly valid: boolean
  /** What a valid one says. */
  readonly claims?: object
  /** How the others are answered. */
  readonly code?: string
}

export interface AccessTokenVectors {
  readonly about: string
  readonly issuer: string
  readonly audience: string
  /** Seconds since 1970 at which the tokens are shown. */
  readonly now: number
  /** Seconds. */
  readonly leeway: number
  readonly longest_token_ttl: number
  readonly longest_token: number
  readonly secrets: readonly string[]
  readonly kids: readonly string[]
  readonly vectors: readonly Vector[]
  /** The same for a service whose secret was derived. */
  readonly derived: {
    readonly audience: string
    readonly secret: string
    readonly kid: string
    readonly vectors: readonly Vector[]
  }
}

export interface RevocationVectors {
  readonly about: string
  readonly issuer: string
  readonly audience: string
  readonly now: number
  /** Seconds. */
  readonly revocation_life: number
  readonly secrets: readonly string[]
  readonly vectors: readonly (Vector & { readonly revocations: readonly object[] })[]
}

const NOW = NOON / 1_000
const OTHER_SECRET = 'hex:7d0f4b3c92e6a1587bd49cfe6021358a4e97c0d2b35f681a9cdae4710b62f835'

// As goodClaims() makes them, but the same in every run.
const claims: ReturnType<typeof goodClaims> = {
  iss: 'http://localhost:3000',
  aud: 'latchkey',
  sub: '019b79a5-2a00-7c3e-9a51-6f2d8e4b1c07',
  sid: '019b79a5-2a00-7d10-8b3f-a4c5e6d7f809',
  jti: '019b79a5-2a00-7e22-b7c6-1a2b3c4d5e6f',
  iat: NOW,
  exp: NOW + 600,
  roles: ['user'],
  scope: 'account',
}

function valid(name: string, said: object, secret = SECRET_BYTES): Vector {
  const token = handMade({ ...goodHeader, kid: kidOf(secret) }, said, secret)
  return { name, token, valid: true, claims: said }
}

function refused(name: string, token: string, code = 'token_invalid'): Vector {
  return { name, token, valid: false, code }
}

/** Good tokens, and every hostile one we know. */
export function accessTokenVectors(): AccessTokenVectors {
  const [otherSecret] = parseSecrets(OTHER_SECRET) as [Buffer]
  const derivedSecret = deriveSecret(SECRET_BYTES, 'billing')
  const derivedHeader = { ...goodHeader, kid: kidOf(derivedSecret) }
  const forBilling = { ...claims, aud: 'billing' }
  const withOther = (difference: object) => ({ ...claims, ...difference })
  return {
    about:
      'Access tokens as Latchkey mints them, and tokens that must be refused, shown at `now` to a verifier with these ' +
      'secrets. A kid is base64url(HKDF-SHA256(secret, salt empty, info "latchkey kid v1", 12 bytes)). A derived secret ' +
      'is HKDF-SHA256(the first secret, salt empty, info "latchkey audience v1:" and the audience, 32 bytes).',
    issuer: claims.iss,
    audience: claims.aud,
    now: NOW,
    leeway: LEEWAY,
    longest_token_ttl: LONGEST_TOKEN_TTL,
    longest_token: LONGEST_TOKEN,
    secrets: [SECRET, OTHER_SECRET],
    kids: [kidOf(SECRET_BYTES), kidOf(otherSecret)],
    vectors: [
      valid('as it is minted', claims),
      valid('signed with the second secret', claims, otherSecret),
      valid('many roles and scopes', withOther({ roles: ['admin', 'user'], scope: 'account admin' })),
      valid('no roles and no scope', withOther({ roles: [], scope: '' })),
      valid('an hour long', withOther({ exp: NOW + LONGEST_TOKEN_TTL })),
      valid('a second before it has expired for good', withOther({ iat: NOW - 600, exp: NOW - LEEWAY + 1 })),
      valid(
        'issued by a clock that is ahead by the leeway',
        withOther({ iat: NOW + LEEWAY, exp: NOW + LEEWAY + 600 }),
      ),
      valid('nbf past', withOther({ nbf: NOW - 1 })),
      valid('nbf ahead by the leeway', withOther({ nbf: NOW + LEEWAY })),
      refused(
        'issued by a clock that is ahead by more than the leeway',
        handMade(goodHeader, withOther({ iat: NOW + LEEWAY + 1, exp: NOW + LEEWAY + 601 })),
      ),
      refused(
        'nbf ahead by more than the leeway',
        handMade(goodHeader, withOther({ nbf: NOW + LEEWAY + 1 })),
      ),
      refused(
        'for another service, signed with its derived secret',
        handMade(derivedHeader, forBilling, derivedSecret),
      ),
      refused('signed with a derived secret', handMade(derivedHeader, claims, derivedSecret)),
      ...hostileTokens(NOON, claims).table.map(([why, token, code]) =>
        // What is no header is no token either.
        refused(why, token, code === 'invalid_request' ? 'token_invalid' : code),
      ),
    ],
    derived: {
      audience: 'billing',
      secret: formatSecret(derivedSecret),
      kid: derivedHeader.kid,
      vectors: [
        valid('as it is minted for the audience', forBilling, derivedSecret),
        refused('for Latchkey itself', handMade(goodHeader, claims)),
        refused(
          'for Latchkey itself, signed with the derived secret',
          handMade(derivedHeader, claims, derivedSecret),
        ),
        refused(
          'for the audience, signed with the secret it was derived from',
          handMade(goodHeader, forBilling),
        ),
        refused(
          'for the audience, with the kid of the derived secret, signed with the one it was derived from',
          handMade(derivedHeader, forBilling),
        ),
        refused(
          'of another audience, with its derived secret',
          handMade(
            { ...goodHeader, kid: kidOf(deriveSecret(SECRET_BYTES, 'shop')) },
            { ...claims, aud: 'shop' },
            deriveSecret(SECRET_BYTES, 'shop'),
          ),
        ),
      ],
    },
  }
}

/** What the feed has told, in order, and a token that is then let in or not. */
export function revocationVectors(): RevocationVectors {
  const { sid, sub } = claims
  const token = handMade(goodHeader, claims)
  const admin = handMade(goodHeader, { ...claims, roles: ['admin', 'user'] })
  const expires_at = new Date(NOON + REVOCATION_LIFE).toISOString()
  const expired = new Date(NOON - 1_000).toISOString()
  const another = '019b79a5-2a00-7f44-8e1d-0c9b8a7d6e5f'
  const roles = (...names: string[]) => ({ sub, roles: names, expires_at })
  const letsIn = (name: string, revocations: object[]) => ({ name, revocations, token, valid: true, claims })
  const refuses = (name: string, revocations: object[], code: string, shown = token) => ({
    ...refused(name, shown, code),
    revocations,
  })
  return {
    about:
      'What GET /revocations has told, in order, and a token that is shown after it at `now`. Entries are remembered until ' +
      '`expires_at`, which is `revocation_life` seconds after the revocation.',
    issuer: claims.iss,
    audience: claims.aud,
    now: NOW,
    revocation_life: REVOCATION_LIFE / 1_000,
    secrets: [SECRET],
    vectors: [
      letsIn('nothing', []),
      refuses('its session ended', [{ sid, expires_at }], 'token_revoked'),
      refuses(
        'its session ended, told twice',
        [
          { sid, expires_at },
          { sid, expires_at },
        ],
        'token_revoked',
      ),
      letsIn('another session ended', [{ sid: another, expires_at }]),
      letsIn('its session ended, and that can be forgotten', [{ sid, expires_at: expired }]),
      letsIn('an account of the same id as its session', [{ sub: sid, roles: [], expires_at }]),
      letsIn('a session of the same id as its account', [{ sid: sub, expires_at }]),
      refuses('its account has other roles now', [roles('admin', 'user')], 'token_stale'),
      refuses('its account has no roles now', [roles()], 'token_stale'),
      letsIn('its account has the roles that it says', [roles('user')]),
      refuses('of two changes of roles the later one holds', [roles('user'), roles('admin')], 'token_stale'),
      letsIn('a change of roles that was taken back', [roles('admin'), roles('user')]),
      letsIn('another account has other roles', [{ sub: another, roles: [], expires_at }]),
      refuses('its account lost a role', [roles('user')], 'token_stale', admin),
      refuses('both: the session ended', [roles('admin'), { sid, expires_at }], 'token_revoked'),
      {
        ...letsIn('the same roles in another order', [roles('user', 'admin')]),
        token: admin,
        claims: { ...claims, roles: ['admin', 'user'] },
      },
    ],
  }
}

/** The files by their name, as they have to be. */
export function vectorFiles(): Readonly<Record<string, string>> {
  const text = (value: object) => `${JSON.stringify(value, null, 2)}\n`
  return {
    'access-tokens.json': text(accessTokenVectors()),
    'revocations.json': text(revocationVectors()),
  }
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(vectorFiles())) {
    writeFileSync(new URL(`../vectors/${name}`, import.meta.url), text)
  }
}
