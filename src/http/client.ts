import type { FastifyRequest } from 'fastify'
import type { Client } from '../events.ts'

/** From where a request came. An IPv4 address that a dual-stack socket shows as IPv6 is given as IPv4. */
export function clientOf(request: FastifyRequest): Client {
  return {
    ip: request.ip.replace(/^::ffff:(?=\d+\.)/, ''),
    userAgent: request.headers['user-agent'] ?? null,
    requestId: request.id,
  }
}
