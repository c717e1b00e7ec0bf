import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Claims } from '../tokens/claims.ts'
import { admit, type Needs, type Refusal, refusalOf } from './admission.ts'
import { authorizationOf } from './authorization.ts'
import { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts'

export type { Claims, Needs, Verifier, VerifierOptions }

declare module 'fastify' {
  interface FastifyInstance {
    latchkey: Latchkey
  }
  interface FastifyRequest {
    /** What the guard leaves on the request. */
    user: Claims
  }
}

/**
 * An onRequest hook. Its types are this wide because an app's own differ by its logger, its server and its routes; it is
 * Fastify that calls it.
 */
export type Guard = (request: object, reply: object, done: (error?: Error) => void) => void

/** What the plugin adds to an app, as `app.latchkey`. */
export interface Latchkey {
  readonly verify: Verifier
  /**
   * The onRequest hook that lets requests in by their access token, and sets `request.user` to its frozen claims. The
   * others it answers itself, as Latchkey's own API does: 401 and 403, 400 for a malformed header, 503 where the
   * revocations are stale. Add it to a scope, so that every route of the scope is guarded, or to a route.
   *
   * @param needs the role and the scope that the token has to have, if any
   */
  guard(needs?: Needs): Guard
}

/** A verifier, or what to make one of: it is then closed with the app. */
export type LatchkeyOptions = VerifierOptions | { readonly verifier: Verifier }

/**
 * The plugin for Fastify 5: `app.register(latchkey, options)`. What it adds is there in the scope
 * that registers it, and below.
 *
 * @throws TypeError, where the app is made ready, as createVerifier() does
 */
export async function latchkey(instance: object, options: LatchkeyOptions): Promise<void> {
  const app = instance as FastifyInstance
  const verify = 'verifier' in options ? options.verifier : createVerifier(options)
  if (!('verifier' in options)) app.addHook('onClose', () => verify.close())
  // @fastify/jwt adds the same.
  if (!app.hasRequestDecorator('user')) app.decorateRequest('user')
  app.decorate('latchkey', { verify, guard: (needs = {}) => createHook(verify, needs) })
}

// What fastify-plugin sets: no scope of its own, a name, and the versions it is for.
Object.assign(latchkey, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'latchkey',
  [Symbol.for('plugin-meta')]: { name: 'latchkey', fastify: '5.x' },
})

export default latchkey

// A hook with a callback costs no promise; what it throws has to be handed on.
function createHook(verify: Verifier, needs: Needs): Guard {
  return (hooked, reply, done) => {
    const request = hooked as FastifyRequest
    try {
      request.user = admit(verify, needs, authorizationOf(request.raw))
    } catch (error) {
      answer(reply as FastifyReply, error, done)
      return
    }
    done()
  }
}

function answer(reply: FastifyReply, error: unknown, done: (error: Error) => void): void {
  let refusal: Refusal
  try {
    refusal = refusalOf(error, reply.request.id)
  } catch (broken) {
    done(broken as Error)
    return
  }
  reply.code(refusal.status).headers(refusal.headers).send(refusal.body)
}
