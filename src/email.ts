import { domainToASCII } from 'node:url'

// RFC 5321 section 4.5.3.1: the longest address, and the longest part before the @, in octets.
const LONGEST_ADDRESS = 254
const LONGEST_LOCAL_PART = 64

// RFC 1123 section 2.1: two labels or more of at most 63 letters, digits and hyphens. The last begins with a letter,
// which an IPv4 address doesn't have.
const LABEL = '[a-z\\d](?:[a-z\\d-]{0,61}[a-z\\d])?'
const DOMAIN = new RegExp(`^(?:${LABEL}\\.)+(?=[a-z])${LABEL}$`)

/**
 * The form in which an address is kept and shown: as typed, but trimmed, in NFC, and with its domain in lower case.
 * The part before the @ stays as it is (RFC 5321 section 2.4).
 */
export function normalizeEmail(text: string): string {
  const address = text.trim().normalize('NFC')
  const [local, domain] = split(address)
  return domain === '' ? address : `${local}@${domain.toLowerCase().normalize('NFC')}`
}

/**
 * Whether a normalized text can be an address: one @, a domain that DNS could know, nothing that hides. Whether mail
 * arrives there, only mail can tell.
 */
export function isEmail(address: string): boolean {
  const [local, domain] = split(address)
  // domainToASCII reads a host as a URL has it: `example.com/x` and `%65xample.com` would both become example.com.
  return (
    address.isWellFormed() &&
    Buffer.byteLength(address) <= LONGEST_ADDRESS &&
    Buffer.byteLength(local) <= LONGEST_LOCAL_PART &&
    /^[^\s\p{C}@"(),:;<>[\\\]]+$/u.test(local) &&
    /^(?:[a-z\d.-]|[^\p{ASCII}\s\p{C}])+$/u.test(domain) &&
    DOMAIN.test(domainToASCII(domain))
  )
}

/**
 * By which an address is unique and looked up: without regard to case, to how its characters are composed, or to
 * whether its domain is written in Unicode or in Punycode (RFC 5891).
 *
 * @param address a normalized address
 */
export function emailKey(address: string): string {
  const [local, domain] = split(address)
  return `${local.toLowerCase().normalize('NFC')}@${domainToASCII(domain)}`
}

function split(address: string): [local: string, domain: string] {
  const at = address.lastIndexOf('@')
  return at === -1 ? [address, ''] : [address.slice(0, at), address.slice(at + 1)]
}
