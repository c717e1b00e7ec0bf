import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Client } from '../events.ts'

/** From where a request came. An IPv4 address that a dual-stack socket shows as IPv6 is given as IPv4. */
export function clientOf(request: FastifyRequest): Client {
  return {
    ip: addressOf(request),
    userAgent: request.headers['user-agent'] ?? null,
    requestId: request.id,
  }
}

function addressOf(request: FastifyRequest): string {
  // Whatever its type says: a client that has reset its connection has no address any more, and what it asked for is
  // done all the same. A trusted proxy may forward what is no address.
  const ip = (request.ip as string | undefined)?.replace(/^::ffff:(?=\d+\.)/, '') ?? ''
  return isIP(ip) === 0 ? 'unknown' : ip
}
