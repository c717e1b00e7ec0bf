/** What the runner tells a contender. */
export const settings = {
  port: Number(required('PORT')),
  /** Signs and checks tokens and cookies. */
  secret: Buffer.from(required('SECRET'), 'base64url'),
  /** How many different credentials to make. */
  credentials: Number(process.env.CREDENTIALS ?? 1),
} as const

/** The store that the runner started. @throws an Error where it gave none */
export function storeUrl(): string {
  return required('STORE_URL')
}

function required(name: string): string {
  const value = process.env[name]
  if (value === undefined) throw new Error(`${name} is missing`)
  return value
}
