/**
 * Sessions in Redis by its own client, redis (node-redis): one GET over one connection. The client pipelines by itself
 * whatever is asked within one turn of the event loop. The claims are kept as JSON, and expiry is left to Redis.
 */

import Fastify from 'fastify'
import { createClient } from 'redis'
import { TTL } from './shared/claims.ts'
import { newSessions, serveSessions } from './shared/sessions.ts'
import { storeUrl } from './shared/settings.ts'

const client = createClient({ url: storeUrl() })
await client.connect()

const sessions = newSessions()
await Promise.all(
  sessions.map(({ id, claims }) =>
    client.set(keyOf(id), JSON.stringify(claims), { expiration: { type: 'EX', value: TTL } }),
  ),
)

await serveSessions(Fastify(), sessions, async (id) => {
  const claims = await client.get(keyOf(id))
  return claims === null ? undefined : JSON.parse(claims)
})

function keyOf(id: string): string {
  return `session:${id}`
}
