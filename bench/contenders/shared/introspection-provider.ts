import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Provider, { type Adapter, type AdapterPayload, type JWK } from 'oidc-provider'
import { AUDIENCE, ISSUER, TTL } from './claims.ts'

// The process that oidc-introspection starts: node-oidc-provider, which hands out opaque access tokens and says what
// they are. Its own memory store, meant for trying it out, forgets all but the last thousand.
function memoryAdapter(): Adapter {
  const entries = new Map<string, AdapterPayload>()
  return {
    upsert: async (id, payload) => void entries.set(id, payload),
    find: async (id) => entries.get(id),
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    consume: async () => undefined,
    destroy: async (id) => void entries.delete(id),
    revokeByGrantId: async () => undefined,
  }
}

const [id, secret] = process.argv.slice(2) as [string, string]

const provider = new Provider(ISSUER, {
  adapter: memoryAdapter,
  clients: [
    {
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    },
  ],
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  jwks: { keys: [signingKey()] },
  extraTokenClaims: () => ({
    sub: randomUUID(),
    session_id: randomUUID(),
    token_id: randomUUID(),
    roles: ['user'],
  }),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:latchkey:bench',
      getResourceServerInfo: () => ({
        scope: 'account',
        audience: AUDIENCE,
        accessTokenFormat: 'opaque',
      }),
    },
  },
  scopes: ['account'],
  ttl: { ClientCredentials: TTL },
})

const server = provider.listen(0, '127.0.0.1')
await once(server, 'listening')
process.once('disconnect', () => process.exit())
process.send?.((server.address() as AddressInfo).port)

function signingKey(): JWK {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256' } as JWK
}
