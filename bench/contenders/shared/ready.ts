/** What a request carries to be let in. */
export type HeaderSet = Readonly<Record<string, string>>

/** Tells the runner that the contender listens, and with which headers each GET /me is let in. */
export function announce(headers: readonly HeaderSet[]): void {
  console.log(JSON.stringify({ method: 'GET', path: '/me', headers }))
}
