import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** What stands where there is no address: a client has cut its connection, or a proxy forwards what is none. */
export const UNKNOWN_ADDRESS = 'unknown'

/**
 * The one way in which an address is written here: IPv6 as RFC 5952 has it, without a zone, and IPv4 as IPv4 where a
 * dual-stack socket shows it as IPv6. A port is left out.
 *
 * @returns undefined where the text is no address
 */
export function addressFrom(text: string): string | undefined {
  const address = withoutPort(text)
  if (isIP(address) === 0) return undefined
  // RFC 4007 section 11: a zone means something on one host alone.
  return ipaddr.process(address.replace(/%.*$/, '')).toString()
}

// Proxies may forward an address with a port, IPv6 then in brackets, as it stands in a URL.
function withoutPort(text: string): string {
  return (/^\[(.+)\](?::\d+)?$/.exec(text) ?? /^([\d.]+):\d+$/.exec(text))?.[1] ?? text
}
