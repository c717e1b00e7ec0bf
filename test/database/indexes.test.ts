import t from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import type { Db } from '../../src/database/schema.ts'
import { createRevocationStore } from '../../src/revocations/store.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { explain, listen } from '../helpers/explain.ts'
import { NOON, nothing, someAccount, someSession } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

/** Sends every query that the stores have. */
async function sendAll(db: Db): Promise<void> {
  const accounts = createAccountStore(db)
  const sessions = createSessionStore(db)
  const revocations = createRevocationStore(db)
  const account = someAccount()
  const key = account.email
  const session = someSession(account.id)

  await accounts.create(account, key, session, nothing)
  await accounts.isTaken(key)
  await accounts.find(account.id)
  await accounts.change(
    account.id,
    { name: 'Ada', email: { address: key, key } },
    NOON,
    nothing,
    account.passwordHash,
  )
  await sessions.findCredentials(key)
  await sessions.open(someSession(account.id), account.passwordHash, account.passwordHash, nothing)
  await sessions.find(session.id)
  await sessions.exists(session.id)
  await sessions.rotate(session.id, session.secret_hash, { ...session, rotation_salt: null })
  await sessions.list(account.id, NOON, 100)
  await sessions.useCredential(session.id, session.secret_hash, NOON)
  await sessions.end(account.id, { only: crypto.randomUUID() }, NOON, nothing, session.id)
  await sessions.sweep(NOON)
  const change = { provedHash: account.passwordHash, newHash: 'another', keptSession: session.id }
  await accounts.changePassword(account.id, change, NOON, nothing)
  await accounts.erase(account.id, 'another', NOON, nothing)
  await revocations.head()
  await revocations.after(0, 100)
  // The oldest is the first of the primary key, which SQLite calls a scan.
  await revocations.sweep(NOON)
}

for (const kind of databases) {
  t.test(`every query of the stores finds its rows by an index, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const { db: listening, sent } = listen(db)
    await sendAll(listening)
    t.ok(sent.length > 15, `${sent.length} queries were sent`)
    for (const { text, plan } of await explain(db, kind, sent)) {
      t.notMatch(plan, /Seq Scan|SCAN (accounts|sessions|account_roles|revocation)/, text)
    }
  })
}
