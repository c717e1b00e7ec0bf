import type { IncomingMessage } from 'node:http'
import { BlockList, type IPVersion, isIP } from 'node:net'
import { isSpanContextValid, type Link, type SpanContext } from '@opentelemetry/api'

// https://www.w3.org/TR/trace-context/#traceparent-header: a later version may say more behind it, this one may not.
const TRACEPARENT = /^(?!ff)([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/

/** Where a span stands: below one that was begun elsewhere, or at the top, with a link to whoever else called. */
export interface Origin {
  readonly parent?: SpanContext
  readonly links?: Link[]
}

/**
 * Reads traceparent. Who is believed chooses the trace, and with its sampled flag whether that costs us a span. So
 * only those are believed whose X-Forwarded-For is believed too; with anybody else's a trace begins here, by our own
 * dice, with a link to theirs (W3C Trace Context, "Privacy of traceparent": a trace may be restarted at a border).
 * tracestate and baggage are not read at all: nothing is passed on from here.
 *
 * @param trusted addresses and CIDRs, as TRUST_PROXY gives them
 */
export function createOriginOf(trusted: readonly string[] | false): (request: IncomingMessage) => Origin {
  const networks = new BlockList()
  for (const network of trusted || []) {
    const [address = '', prefix] = network.split('/')
    if (prefix === undefined) networks.addAddress(address, familyOf(address))
    else networks.addSubnet(address, Number(prefix), familyOf(address))
  }

  return ({ headers, socket: { remoteAddress = '' } }) => {
    const context = parse(headers.traceparent)
    if (context === undefined) return {}
    // An IPv4 address that a dual-stack socket shows as IPv6 is found as well. No address at all, of a connection that
    // has been reset, is in no network.
    const isTrusted = networks.check(remoteAddress, familyOf(remoteAddress))
    return isTrusted ? { parent: context } : { links: [{ context }] }
  }
}

function familyOf(address: string) {
  return `ipv${isIP(address)}` as IPVersion
}

function parse(header: unknown): SpanContext | undefined {
  if (typeof header !== 'string') return undefined
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(header) ?? []
  if (version === '00' && more !== undefined) return undefined
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return isSpanContextValid(context) ? context : undefined
}
