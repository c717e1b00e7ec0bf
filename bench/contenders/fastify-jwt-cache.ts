/**
 * @fastify/jwt with the cache of fast-jwt: 10,000 tokens, as many as Latchkey remembers, until they expire, under the
 * token itself. By default the cache holds 1,000 for ten minutes under a hash of the token; fast-jwt's README advises
 * the identity for speed.
 */

import { serveFastifyJwt } from './shared/fastify-jwt.ts'

await serveFastifyJwt({ cache: 10_000, cacheTTL: Infinity, cacheKeyBuilder: (token) => token })
