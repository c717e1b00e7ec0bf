import { z } from 'zod'

/** Which scopes a role brings where nothing else is configured. */
const builtIn = {
  user: ['account'],
  admin: ['account', 'admin', 'revocations:read'],
}

/** The role of everybody who signs up, and the role of operators. Both are always there. */
export const USER = 'user'
export const ADMIN = 'admin'

/** The scope that /account asks for, that /admin asks for, and that the revocation feed asks for. */
export const ACCOUNT_SCOPE = 'account'
export const ADMIN_SCOPE = 'admin'
export const REVOCATIONS_SCOPE = 'revocations:read'

// All of an account's roles and scopes go into its token, which has 2 KiB. So do the scopes of a credential, and the
// issuer and audience that config.ts lets in: the longest of each fit together.
const LONGEST_TOGETHER = 600

/** How long the scopes of a credential may be together, in characters. */
export const LONGEST_CREDENTIAL_SCOPE = 256

// RFC 6749 section 3.3, without what would have to be escaped somewhere.
const RoleName = z.string().regex(/^[a-z\d][a-z\d_.:-]{0,31}$/)

/** The name of a scope (RFC 6749 section 3.3), without what would have to be escaped somewhere. */
export const ScopeName = z.string().regex(/^[a-z\d][a-z\d_.:/-]{0,63}$/)

const RolesFile = z.record(RoleName, z.array(ScopeName))

/** The roles there are, and what each brings. */
export interface Roles {
  readonly names: readonly string[]
  /** @returns the scopes that the roles bring together, sorted, each once; an unknown role brings none */
  scopesOf(roles: readonly string[]): readonly string[]
}

/**
 * Reads what ROLES holds: a JSON object of scopes by role. `user` and `admin` keep their built-in scopes unless it
 * names them.
 *
 * @throws an Error that says what is wrong with it, fit to be shown after the variable's name
 */
export function parseRoles(text: string): Roles {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    throw new Error('is not JSON')
  }
  const { success, data } = RolesFile.safeParse(given)
  if (!success) throw new Error('must be an object that names, for each role, a list of scopes')
  const scopesByRole = { ...builtIn, ...data }
  if (!scopesByRole.admin.includes(ADMIN_SCOPE))
    throw new Error(`must give ${ADMIN} the scope ${ADMIN_SCOPE}`)
  // As they stand in a token, where each role has quotes and a comma.
  const scopes = new Set(Object.values(scopesByRole).flat())
  if (JSON.stringify(Object.keys(scopesByRole)).length + [...scopes].join(' ').length > LONGEST_TOGETHER) {
    throw new Error(`has more than ${LONGEST_TOGETHER} characters of roles and scopes, too many for a token`)
  }
  return createRoles(scopesByRole)
}

function createRoles(scopesByRole: Readonly<Record<string, readonly string[]>>): Roles {
  const byName = new Map(Object.entries(scopesByRole))
  return {
    names: [...byName.keys()],
    scopesOf: (roles) => [...new Set(roles.flatMap((role) => byName.get(role) ?? []))].sort(),
  }
}

/** The roles there are where nothing else is configured. */
export const builtInRoles: Roles = createRoles(builtIn)

/** Reads scopes as they stand in a token or a request: separated by spaces (RFC 6749 section 3.3). */
export function parseScope(scope: string): readonly string[] {
  return scope.split(' ').filter((name) => name !== '')
}
