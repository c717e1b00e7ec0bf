import type { FastifyRequest } from 'fastify'
import type { Client } from '../audit/events.ts'
import { addressFrom, UNKNOWN_ADDRESS } from '../ip.ts'

// In characters.
const LONGEST_USER_AGENT = 256

/** From where a request came, in a form that can be kept and shown. */
export function clientOf(request: FastifyRequest): Client {
  return {
    ip: addressOf(request),
    userAgent: printable(request.headers['user-agent']?.slice(0, LONGEST_USER_AGENT)),
    requestId: request.id,
  }
}

function addressOf(request: FastifyRequest): string {
  // Whatever its type says: a client that has reset its connection has no address any more, and what it asked for is
  // done all the same. A trusted proxy may forward what is no address.
  return addressFrom((request.ip as string | undefined) ?? '') ?? UNKNOWN_ADDRESS
}

// Control characters, and halves of characters that are cut: a database may refuse them, and a terminal obey them.
function printable(text: string | undefined): string | null {
  return text?.replace(/\p{C}/gu, '?') ?? null
}
