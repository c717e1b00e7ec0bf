import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/**
 * The one way in which an address is written here: IPv6 as RFC 5952 has it, without a zone, and IPv4 as IPv4 where a
 * dual-stack socket shows it as IPv6.
 *
 * @returns undefined where the text is no address
 */
export function addressFrom(text: string): string | undefined {
  if (isIP(text) === 0) return undefined
  // RFC 4007 section 11: a zone means something on one host alone.
  return ipaddr.process(text.replace(/%.*$/, '')).toString()
}
