import fastifyJwt, { type FastifyJWTOptions } from '@fastify/jwt'
import Fastify from 'fastify'
import { AUDIENCE, ISSUER } from './claims.ts'
import { guardMe, serve, unauthorized } from './fastify.ts'
import { settings } from './settings.ts'
import { tokenHeaders } from './tokens.ts'

/** Listens with GET /me behind request.jwtVerify(). @param caching options of its cache */
export async function serveFastifyJwt(caching: FastifyJWTOptions['verify']): Promise<void> {
  const app = Fastify()
  await app.register(fastifyJwt, {
    secret: settings.secret,
    decoratorName: 'claims',
    verify: { algorithms: ['HS256'], allowedIss: ISSUER, allowedAud: AUDIENCE, ...caching },
  })
  guardMe(app, async (request) => {
    try {
      await request.jwtVerify()
    } catch {
      // What is wrong with the algorithm alone, it would answer with 500.
      throw unauthorized()
    }
  })
  await serve(app, tokenHeaders())
}
