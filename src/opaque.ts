/** The bytes of an id, with which every opaque text begins: refresh tokens, credentials, cursors. */
export const ID_BYTES = 16

/** @returns the bytes behind a prefix, or undefined where they aren't so many in canonical base64url */
export function bytesOf(text: string, prefix: string, length: number): Buffer | undefined {
  const digits = text.slice(prefix.length)
  const bytes = Buffer.from(digits, 'base64url')
  if (!text.startsWith(prefix) || bytes.toString('base64url') !== digits) return undefined
  return bytes.length === length ? bytes : undefined
}

/** The 16 bytes of a UUID. */
export function idBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex')
}

/** The UUID of the first 16 bytes. */
export function idFrom(bytes: Buffer): string {
  return bytes.toString('hex', 0, ID_BYTES).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
