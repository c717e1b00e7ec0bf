import { randomBytes } from 'node:crypto'
import { ID_BYTES, idFrom } from '../opaque.ts'

const TIME_BYTES = 6
const LATEST = 2 ** (8 * TIME_BYTES) - 1

/**
 * The id of an event: a UUIDv7 (RFC 9562 section 5.7) of the time at which it happened, so that the order of ids is that
 * of events.
 *
 * @param at milliseconds since 1970
 */
export function eventId(at: number): string {
  return idOf(at, randomBytes(ID_BYTES - TIME_BYTES))
}

/** The least id of the events of a moment and after. @param at milliseconds since 1970 */
export function leastEventId(at: number): string {
  return idOf(Math.min(Math.max(at, 0), LATEST), Buffer.alloc(ID_BYTES - TIME_BYTES))
}

function idOf(at: number, rest: Buffer): string {
  const bytes = Buffer.concat([Buffer.alloc(TIME_BYTES), rest])
  bytes.writeUIntBE(at, 0, TIME_BYTES)
  bytes.writeUInt8(0x70 | (bytes.readUInt8(6) & 0x0f), 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  return idFrom(bytes)
}
