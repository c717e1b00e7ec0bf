/**
 * better-auth as in better-auth.ts, with its cookie cache on: the session stands in a second, signed cookie, and the
 * database is not asked while that is good (hours rather than five minutes, so that it lasts as long as a bench). The
 * `compact` strategy, the default, is the cheapest. What the cache knows cannot be revoked.
 */

import { serveBetterAuth } from './shared/better-auth.ts'
import { TTL } from './shared/claims.ts'

await serveBetterAuth({ enabled: true, maxAge: TTL, strategy: 'compact' })
