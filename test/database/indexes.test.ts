import { CompiledQuery, type KyselyPlugin, type RootOperationNode, sql } from 'kysely'
import t from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import type { Db } from '../../src/database/schema.ts'
import { createRevocationStore } from '../../src/revocations/store.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { NOON, nothing, someAccount, someSession } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

/** The same database, which keeps every query that is sent through it. */
function listen(db: Db): { db: Db; queries: RootOperationNode[] } {
  const queries: RootOperationNode[] = []
  const plugin: KyselyPlugin = {
    transformQuery({ node }) {
      queries.push(node)
      return node
    },
    transformResult: async ({ result }) => result,
  }
  return { db: db.withPlugin(plugin), queries }
}

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
  await sessions.rotate(session.id, session.secret_hash, { rotated_at: NOON })
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
    const listening = listen(db)
    await sendAll(listening.db)
    t.ok(listening.queries.length > 15, `${listening.queries.length} queries were sent`)

    await db.transaction().execute(async (tx) => {
      // Even where a table is so small that reading all of it is quicker.
      if (kind === 'postgres') await sql`set local enable_seqscan = off`.execute(tx)
      for (const node of listening.queries) {
        const query = tx.getExecutor().compileQuery(node, { queryId: 'explained' })
        const explain = kind === 'sqlite' ? 'explain query plan' : 'explain'
        const { rows } = await tx.executeQuery(
          CompiledQuery.raw(`${explain} ${query.sql}`, [...query.parameters]),
        )
        const plan = rows.map((row) => Object.values(row as object).join(' ')).join('\n')
        t.notMatch(plan, /Seq Scan|SCAN (accounts|sessions|account_roles|revocation)/, query.sql)
      }
    })
  })
}
