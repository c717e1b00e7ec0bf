/**
 * HTTP Basic in Fastify: name and password are checked on each request, against argon2id with Latchkey's defaults
 * (19 MiB, two passes, one thread), by the same package. Accounts are kept in memory, so that nothing but the hash costs.
 * They share one hash: ten thousand would take minutes to make, and checking costs the same.
 */

import argon2 from 'argon2'
import Fastify from 'fastify'
import { basicCredentials, basicHeaders, newCredentials } from './shared/basic.ts'
import { newClaims } from './shared/claims.ts'
import { guardMe, serve, unauthorized } from './shared/fastify.ts'

const PASSWORD = 'a long walk by the river'

const hash = await argon2.hash(PASSWORD, {
  type: argon2.argon2id,
  memoryCost: 19_456,
  timeCost: 2,
  parallelism: 1,
})
const credentials = newCredentials(PASSWORD)
const accounts = new Map(credentials.map(({ name }) => [name, { hash, claims: newClaims() }]))

const app = Fastify()
guardMe(app, async (request) => {
  const sent = basicCredentials(request.headers.authorization)
  const account = sent && accounts.get(sent.name)
  if (!sent || !account || !(await argon2.verify(account.hash, sent.password))) throw unauthorized()
  request.claims = account.claims
})
await serve(app, credentials.map(basicHeaders))
