import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

const PREFIX_PARTS = 4

/**
 * Whom an address is taken for. An IPv4 address stands for itself, also where it is written as IPv6; an IPv6 address
 * stands for its /64: whoever has one of these usually has them all (RFC 6177 section 2).
 *
 * @param ip as clientOf() gives it
 * @returns undefined where it isn't known
 */
export function networkOf(ip: string): string | undefined {
  if (isIP(ip) === 0) return undefined
  const address = ipaddr.process(ip)
  if (address instanceof ipaddr.IPv4) return address.toString()
  const prefix = address.parts.slice(0, PREFIX_PARTS)
  return prefix.map((part) => part.toString(16)).join(':')
}
