/**
 * HTTP Basic in Fastify: name and secret are checked on each request against a fast salted hash (SHA-256, one call of
 * crypto.hash, compared by timingSafeEqual). It is right for random keys and wrong for passwords, and the cheapest check
 * of credentials there is. Accounts are kept in memory, and the hook is synchronous.
 */

import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import Fastify from 'fastify'
import { basicCredentials, basicHeaders, newCredentials } from './shared/basic.ts'
import { newClaims } from './shared/claims.ts'
import { guardMe, serve, unauthorized } from './shared/fastify.ts'

const credentials = newCredentials(randomBytes(24).toString('base64url'))
const accounts = new Map(
  credentials.map(({ name, password }) => {
    const salt = randomBytes(16).toString('base64url')
    return [name, { salt, digest: hash('sha256', salt + password, 'buffer'), claims: newClaims() }]
  }),
)

const app = Fastify()
guardMe(app, (request, _reply, done) => {
  const sent = basicCredentials(request.headers.authorization)
  const account = sent && accounts.get(sent.name)
  if (
    sent === undefined ||
    account === undefined ||
    !timingSafeEqual(hash('sha256', account.salt + sent.password, 'buffer'), account.digest)
  ) {
    done(unauthorized())
    return
  }
  request.claims = account.claims
  done()
})
await serve(app, credentials.map(basicHeaders))
