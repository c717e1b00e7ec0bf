/**
 * @fastify/jwt as its README has it: `await request.jwtVerify()` in an onRequest hook. The secret is a Buffer given once,
 * so that the verifier is built once; HS256, issuer and audience are checked.
 */

import { serveFastifyJwt } from './shared/fastify-jwt.ts'

await serveFastifyJwt({})
