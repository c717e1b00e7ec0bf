/** Which scopes a role brings. The names are the roles there are. */
const scopesByRole = {
  user: ['account'],
  admin: ['account', 'admin', 'revocations:read'],
} as const

export type Role = keyof typeof scopesByRole

export const roles = Object.keys(scopesByRole) as readonly Role[]

/** @returns the scopes that the roles bring together, sorted, each once; an unknown role brings none */
export function scopesOf(names: readonly string[]): readonly string[] {
  const scopes = names.filter(isRole).flatMap((name) => scopesByRole[name])
  return [...new Set(scopes)].sort()
}

function isRole(name: string): name is Role {
  return Object.hasOwn(scopesByRole, name)
}
