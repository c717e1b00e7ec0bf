import { sql } from 'kysely'

/** The roles of the account in the surrounding query, separated by spaces; both dialects know string_agg. */
export const rolesColumn = sql<string | null>`(
  select string_agg(role, ' ') from account_roles where account_id = accounts.id
)`.as('roles')

/** Reads what rolesColumn writes. */
export function rolesFrom(column: string | null): readonly string[] {
  return column === null ? [] : column.split(' ').sort()
}
