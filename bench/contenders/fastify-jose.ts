/**
 * jose's jwtVerify() in a Fastify hook. The key is a CryptoKey imported once: jose works on WebCrypto, and would turn
 * anything else into one. HS256, issuer and audience are checked.
 */

import Fastify from 'fastify'
import { jwtVerify } from 'jose'
import type { Claims } from './shared/claims.ts'
import { guardMe, serve, unauthorized } from './shared/fastify.ts'
import { bearerToken, key, tokenHeaders, verifyOptions } from './shared/tokens.ts'

const cryptoKey = key.toCryptoKey({ name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])

const app = Fastify()
guardMe(app, async (request) => {
  const token = bearerToken(request.headers.authorization)
  if (token === undefined) throw unauthorized()
  try {
    request.claims = (await jwtVerify<Claims>(token, cryptoKey, verifyOptions)).payload
  } catch {
    throw unauthorized()
  }
})
await serve(app, tokenHeaders())
