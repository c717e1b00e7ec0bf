import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Client } from '../audit/events.ts'
import { UNKNOWN_ADDRESS } from '../ip.ts'

/** Whom a client is taken for: its network, or together with all others whose address isn't known. */
export function placeOf({ ip }: Client): string {
  return networkOf(ip) ?? UNKNOWN_ADDRESS
}

/**
 * Whom an address is taken for. An IPv4 address stands for itself, also where it is written as IPv6 or translated to it
 * (RFC 6052 section 2.1); an IPv6 address stands for its /64: whoever has one of these usually has them all (RFC 6177
 * section 2).
 *
 * @param ip as clientOf() gives it
 * @returns undefined where it isn't known
 */
export function networkOf(ip: string): string | undefined {
  return prefixOf(ip, 64)
}

/** The /48 of an IPv6 address, the most that one site is given (RFC 6177 section 2); undefined for every other address. */
export function siteOf(ip: string): string | undefined {
  const site = prefixOf(ip, 48)
  return site === networkOf(ip) ? undefined : site
}

function prefixOf(ip: string, bits: 48 | 64): string | undefined {
  if (isIP(ip) === 0) return undefined
  const address = ipaddr.process(ip)
  if (address instanceof ipaddr.IPv4) return address.toString()
  if (address.range() === 'rfc6052') return new ipaddr.IPv4(address.toByteArray().slice(-4)).toString()
  const prefix = address.parts.slice(0, bits / 16)
  return prefix.map((part) => part.toString(16)).join(':')
}
