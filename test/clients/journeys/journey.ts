/** Who goes, and what they have. */
export interface People {
  /** She has no account yet. */
  readonly ada: { readonly email: string; readonly password: string }
  /** An account with the role admin. */
  readonly operator: { readonly email: string; readonly password: string }
  /** The credential of a service with the scope revocations:read. */
  readonly credential: string
}

/** An answer that is no success. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly fields: readonly string[]
}

interface Account {
  readonly id: string
  readonly email: string | null
  readonly name: string | null
  readonly roles: readonly string[]
  readonly status: 'active' | 'disabled'
}

interface Session {
  readonly id: string
  readonly user_agent: string | null
  readonly current: boolean
}

/** What they are told on the way. It is the same, whatever made the client. */
export interface Told {
  readonly signedUp: Account
  readonly emailTaken: Refusal
  readonly passwordTooWeak: Refusal
  readonly notAnAddress: Refusal
  readonly wrongPassword: Refusal
  readonly expiresIn: number
  readonly me: { readonly sub: string; readonly sid: string; readonly roles: readonly string[] }
  readonly account: Account
  readonly renamed: Account
  readonly nameless: Account
  readonly sessions: readonly Session[]
  readonly sessionsLeft: readonly Session[]
  readonly noSuchSession: Refusal
  readonly sidAfterRefresh: string
  readonly refreshedWithNothing: Refusal
  readonly wrongCurrentPassword: Refusal
  /** A page after the other, the newest first. */
  readonly ownEvents: readonly (readonly string[])[]
  readonly failedLogins: readonly { readonly by: 'you' | 'operator' | null; readonly at: string }[]
  readonly noOperator: Refusal
  readonly afterLogOut: Refusal
  readonly withoutToken: Refusal
  /** A page after the other, the newest first. */
  readonly found: readonly (readonly Account[])[]
  readonly details: Account & { readonly kind: 'person' | 'service'; readonly sessions: readonly Session[] }
  readonly disabled: Account
  readonly logInWhileDisabled: Refusal
  readonly enabled: Account
  readonly afterSignOut: Refusal
  readonly disabledBy: readonly (string | null)[]
  readonly afterDeletion: Refusal
  readonly revokedSessions: readonly (string | undefined)[]
  readonly health: { readonly alive: 'alive'; readonly ready: 'ready'; readonly metrics: string }
}

export type Journey = (baseUrl: string, people: People) => Promise<Told>
