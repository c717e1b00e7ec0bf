import { createAccountStore } from '../../src/accounts/store.ts'
import { newCredential } from '../../src/sessions/credentials.ts'
import { insertSession } from '../../src/sessions/store.ts'
import { nothing, someAccount } from './rows.ts'
import type { SignedUp, TestService } from './service.ts'

/** Signs up somebody who has the role admin beside user. */
export async function signUpAdmin(service: TestService, email?: string): Promise<SignedUp> {
  const signedUp = await service.signUp(email)
  await service.database.db
    .insertInto('account_roles')
    .values({ account_id: signedUp.accountId, role: 'admin' })
    .execute()
  return { ...signedUp, ...(await refreshed(service, signedUp.refreshToken)) }
}

/** The new tokens for a refresh token. */
export async function refreshed(
  service: TestService,
  refreshToken: string,
): Promise<Pick<SignedUp, 'accessToken' | 'refreshToken'>> {
  const reply = await service.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } })
  if (reply.statusCode !== 200) throw new Error(`refresh answered ${reply.statusCode}: ${reply.body}`)
  const { access_token: accessToken, refresh_token } = reply.json()
  return { accessToken, refreshToken: refresh_token }
}

/** A service account with one credential, and an access token for it. */
export async function createServiceAccount(
  service: TestService,
  { name = 'billing', scopes = ['revocations:read'], roles = [] as readonly string[] } = {},
) {
  const { db } = service.database
  const account = someAccount({ kind: 'service', email: '', passwordHash: '', name, roles })
  await createAccountStore(db).create(account, `service:${account.id}`, undefined, nothing)
  const { row, credential } = newCredential({ accountId: account.id, scopes, label: name }, service.clock())
  await insertSession(db, row)
  const reply = await service.send('POST', '/auth/token', { body: { credential } })
  const accessToken: string = reply.json().access_token
  return { accountId: account.id, credentialId: row.id, credential, accessToken }
}
