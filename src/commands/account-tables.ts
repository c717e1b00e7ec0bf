import type { Account } from '../accounts/store.ts'
import type { AccountDetails } from '../admin/admin.ts'
import type { AuditEvent } from '../audit/store.ts'
import type { Session } from '../sessions/store.ts'

/** Accounts as an operator reads them. */
export function accountTable(accounts: readonly Account[]): string {
  return table(
    ['ID', 'ADDRESS', 'NAME', 'ROLES', 'STATUS', 'KIND', 'CREATED'],
    accounts.map(({ id, email, name, roles, status, kind, createdAt }) => [
      ...[id, email, name, roles.join(','), status, kind, time(createdAt)],
    ]),
  )
}

/** An account with its sessions and credentials as an operator reads them. */
export function accountDetails({ account, sessions, loginBlockedUntil }: AccountDetails): string {
  const blocked =
    loginBlockedUntil === undefined
      ? []
      : [`Logins from new addresses are held back until ${time(loginBlockedUntil)}.`]
  return [accountTable([account]), ...blocked, sessionTable(sessions)].join('\n\n')
}

function sessionTable(sessions: readonly Session[]): string {
  return table(
    ['SESSION', 'KIND', 'LAST USED', 'EXPIRES', 'IP', 'SCOPE', 'CLIENT'],
    sessions.map(({ id, kind, last_used_at, expires_at, ip, scope, user_agent }) => [
      ...[id, kind, time(last_used_at), time(expires_at), ip, scope, user_agent],
    ]),
  )
}

/** Security events as an operator reads them. */
export function auditTable(events: readonly AuditEvent[]): string {
  return table(
    ['TIME', 'EVENT', 'ACTOR', 'ACCOUNT', 'SESSION', 'IP', 'DETAILS'],
    events.map(({ at, event, actor, subject, session_id, ip, details }) => [
      ...[time(at), event, actor, subject, session_id, ip, details === '{}' ? null : details],
    ]),
  )
}

function time(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

/** Lines of columns that stand below each other; a hyphen stands for nothing. */
function table(head: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const lines = [head, ...rows].map((row) => row.map((cell) => printable(cell || '-')))
  const widths = head.map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)))
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

// A User-Agent is whatever a client sent: nothing in it may speak to the terminal.
function printable(cell: string): string {
  return cell.replace(/\p{C}/gu, '?')
}
