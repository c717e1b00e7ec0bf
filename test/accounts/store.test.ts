import t from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { createSessionStore, type EndedSessions } from '../../src/sessions/store.ts'
import { NOON, nothing, someAccount, someSession } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

const LATER = NOON + 60_000

for (const kind of databases) {
  t.test(`the store of accounts, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const accounts = createAccountStore(db)
    const sessions = createSessionStore(db)

    /** An account that is in the store, with so many sessions. */
    async function stored(count = 0, differing = {}) {
      const account = someAccount(differing)
      await accounts.create(account, account.email, undefined, nothing)
      const opened = Array.from({ length: count }, () => someSession(account.id))
      for (const session of opened)
        await sessions.open(session, account.passwordHash, account.passwordHash, nothing)
      return { account, sessionIds: opened.map((session) => session.id) }
    }

    /** What comes of ending those sessions, in any order. */
    function endedSessions(ended: EndedSessions | undefined) {
      const { count, revocations } = ended as EndedSessions
      const ids = revocations.map((each) => 'sessionId' in each && each.revokedAt === LATER && each.sessionId)
      return { count, ids: new Set(ids) }
    }

    async function openSessions(accountId: string): Promise<string[]> {
      return (await sessions.list(accountId, NOON, 100)).map((session) => session.id).sort()
    }

    t.test('an account comes back as it was stored', async (t) => {
      const account = someAccount({
        email: 'Ada@example.com',
        name: 'Ada Ångström',
        roles: ['admin', 'user'],
      })
      t.equal(await accounts.create(account, 'ada@example.com', undefined, nothing), true)
      t.strictSame(await accounts.find(account.id), account)
      t.equal(await accounts.find(someAccount().id), undefined)
    })

    t.test('an address is taken by its key', async (t) => {
      const { account } = await stored()
      t.equal(await accounts.isTaken(account.email), true)
      t.equal(
        await accounts.isTaken(account.email.toUpperCase()),
        false,
        'the key is what the rules make of it',
      )
    })

    t.test('an address is given once, and nothing of the second account stays', async (t) => {
      const { account } = await stored()
      const second = someAccount({ email: account.email })
      const session = someSession(second.id)
      t.equal(await accounts.create(second, account.email, session, nothing), false)
      t.equal(await accounts.find(second.id), undefined)
      t.equal(await sessions.find(session.id), undefined)
      t.same(await accounts.find(account.id), account)
    })

    t.test('an account and its first session are stored together or not at all', async (t) => {
      const account = someAccount()
      const session = someSession(account.id)
      t.equal(await accounts.create(account, account.email, session, nothing), true)
      t.match(await sessions.find(session.id), session)

      const other = someAccount()
      await t.rejects(accounts.create(other, other.email, session, nothing), 'the session is there already')
      t.equal(await accounts.find(other.id), undefined)
    })

    t.test('a change touches what it names and nothing else', async (t) => {
      const { account } = await stored(0, { name: 'Ada' })
      const email = { address: `New.${account.email}`, key: `new.${account.email}` }

      const moved = { ...account, email: email.address, updatedAt: LATER }
      t.same(await accounts.change(account.id, { email }, LATER, nothing), moved)
      t.same(await accounts.find(account.id), moved)
      t.equal(await accounts.isTaken(email.key), true)
      t.equal(await accounts.isTaken(account.email), false, 'the old address is free')

      t.match(await accounts.change(account.id, { name: 'Countess' }, LATER, nothing), {
        ...moved,
        name: 'Countess',
      })
      t.match(await accounts.change(account.id, { name: null }, LATER, nothing), { ...moved, name: null })
      t.equal(await accounts.change(someAccount().id, { name: 'Nobody' }, LATER, nothing), undefined)
    })

    t.test('a change to an address that is taken changes nothing', async (t) => {
      const { account } = await stored()
      const { account: other } = await stored()
      const email = { address: other.email, key: other.email }
      t.equal(await accounts.change(account.id, { name: 'Ada', email }, LATER, nothing), 'email_taken')
      t.same(await accounts.find(account.id), account)
      const own = { address: account.email.toUpperCase(), key: account.email }
      t.match(
        await accounts.change(account.id, { email: own }, LATER, nothing),
        { email: own.address },
        'but its own is',
      )
    })

    t.test('a fault that is no taken address is thrown on', async (t) => {
      const { account } = await stored()
      await t.rejects(
        accounts.change(account.id, { name: { no: 'text' } as unknown as string }, 1.5, nothing),
      )
      t.same(await accounts.find(account.id), account)
    })

    t.test('a change that needs a proof happens only while that password is in force', async (t) => {
      const { account } = await stored()
      const email = { address: 'x@example.com', key: `x.${account.email}` }
      t.equal(await accounts.change(account.id, { email }, LATER, nothing, 'another hash'), undefined)
      t.same(await accounts.find(account.id), account)
      t.match(await accounts.change(account.id, { email }, LATER, nothing, account.passwordHash), {
        email: email.address,
      })
    })

    t.test('a change of password ends every session but one', async (t) => {
      const { account, sessionIds } = await stored(3)
      const { account: stranger, sessionIds: foreign } = await stored(1)
      const keptSession = sessionIds[1] as string
      const change = { provedHash: account.passwordHash, newHash: 'the second hash', keptSession }

      const ended = await accounts.changePassword(account.id, change, LATER, nothing)
      const others = sessionIds.filter((id) => id !== keptSession)
      t.same(endedSessions(ended), { count: 2, ids: new Set(others) })
      t.same(await openSessions(account.id), [keptSession])
      t.same(await accounts.find(account.id), {
        ...account,
        passwordHash: 'the second hash',
        updatedAt: LATER,
      })

      t.equal(
        await accounts.changePassword(account.id, change, LATER, nothing),
        undefined,
        'the proof is of the past',
      )
      t.same(await openSessions(account.id), [keptSession])
      t.same(await openSessions(stranger.id), foreign, 'nobody else is signed out')
    })

    t.test('erasing takes everything that hangs on the account', async (t) => {
      const { account, sessionIds } = await stored(2, { roles: ['admin', 'user'] })
      const { account: stranger, sessionIds: others } = await stored(1)

      t.equal(await accounts.erase(account.id, 'another hash', LATER, nothing), undefined)
      t.same(await accounts.find(account.id), account, 'not without the proof')
      t.same(await openSessions(account.id), sessionIds.toSorted())

      const ended = await accounts.erase(account.id, account.passwordHash, LATER, nothing)
      t.same(endedSessions(ended), { count: 2, ids: new Set(sessionIds) })
      t.equal(await accounts.find(account.id), undefined)
      t.same(await openSessions(account.id), [])
      const roles = await db
        .selectFrom('account_roles')
        .select('role')
        .where('account_id', '=', account.id)
        .execute()
      t.same(roles, [])
      t.equal(await accounts.isTaken(account.email), false)

      t.same(await accounts.find(stranger.id), stranger)
      t.same(await openSessions(stranger.id), others)
    })

    t.test('a session that its erasing did not name goes with the account', async (t) => {
      const { account, sessionIds } = await stored(1)
      await db.deleteFrom('accounts').where('id', '=', account.id).execute()
      t.equal(await sessions.find(sessionIds[0] as string), undefined)
      t.same(await db.selectFrom('sessions').select('id').where('account_id', '=', account.id).execute(), [])
    })
  })
}
