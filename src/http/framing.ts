import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Problem } from '../problem.ts'

// RFC 3986 section 3.2.2, as far as hosts are written like that. Empty is allowed (RFC 9112 section 3.2).
const HOST = /^[\w.:[\]-]*$/

const refused = new WeakSet<Socket>()

/**
 * Refuses what Node's parser lets through and another reader in front of this one could take for something else: a
 * transfer coding beside `chunked`, or any under HTTP/1.0 (RFC 9112 section 6.1), a Host that is missing, repeated or
 * none (section 3.2), a version that is neither 1.0 nor 1.1. The connection is closed, and what came behind it in the
 * same bytes is not done.
 */
export function refuseAmbiguous(app: FastifyInstance): void {
  const isUnambiguous = createCheck()
  app.addHook('onRequest', ({ raw }, reply, done) => {
    if (isUnambiguous(raw) && !refused.has(raw.socket)) {
      // Node takes what comes behind it for another protocol's, which is spoken by nobody here.
      if (raw.headers.upgrade !== undefined) reply.header('connection', 'close')
      done()
      return
    }
    hangUp(reply)
    done(new Problem('invalid_request'))
  })
  // Node would answer 417 by itself, unseen by the hook. To ignore it is as good (RFC 9110 section 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
}

/** Closes the connection after an answer. What came behind the request in the same bytes is not done. */
export function hangUp(reply: FastifyReply): void {
  refused.add(reply.request.raw.socket)
  reply.header('connection', 'close')
}

/** Whether a connection is being closed because of what refuseAmbiguous() saw on it: it has its answer. */
export function isRefused(socket: Socket): boolean {
  return refused.has(socket)
}

function createCheck() {
  // Nearly all requests name the same one.
  let lastHost = ''

  return ({ httpVersion, headers }: IncomingMessage): boolean => {
    const { host, 'transfer-encoding': coding } = headers
    if (httpVersion !== '1.1') {
      return httpVersion === '1.0' && coding === undefined && (host === undefined || HOST.test(host))
    }
    if (host === undefined || (coding !== undefined && !/^chunked$/i.test(coding))) return false
    if (host !== lastHost) {
      if (!HOST.test(host)) return false
      lastHost = host
    }
    return true
  }
}
