import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { rolesFrom } from '../../src/database/roles.ts'
import { createRevocationStore } from '../../src/revocations/store.ts'
import { createSessionStore, type EndedSessions, type Which } from '../../src/sessions/store.ts'
import { NOON, nothing, someAccount, someSession } from '../helpers/rows.ts'
import { createDatabase, databases } from '../helpers/service.ts'

t.test('roles are read in a fixed order', async (t) => {
  t.same(rolesFrom('user admin'), ['admin', 'user'])
  t.same(rolesFrom(null), [])
})

for (const kind of databases) {
  t.test(`the store of sessions, on ${kind}`, async (t) => {
    const { db } = await createDatabase(t, kind)
    const accounts = createAccountStore(db)
    const sessions = createSessionStore(db)

    async function storedAccount(differing = {}) {
      const account = someAccount(differing)
      await accounts.create(account, account.email, undefined, nothing)
      return account
    }

    /** A session that is in the store, of a new account or of the one given. */
    async function stored(differing = {}, account?: { id: string; passwordHash: string }) {
      const { id, passwordHash } = account ?? (await storedAccount())
      const session = someSession(id, differing)
      await sessions.open(session, passwordHash, passwordHash, nothing)
      return session
    }

    t.test('a login finds what it needs by the address', async (t) => {
      const { id, email, passwordHash } = await storedAccount({ roles: ['user', 'admin'] })
      const credentials = { id, passwordHash, status: 'active', roles: ['admin', 'user'] }
      t.same(await sessions.findCredentials(email), credentials)
      t.equal(await sessions.findCredentials('nobody@example.com'), undefined)
    })

    t.test('a session comes back as it was opened, with what its account may do', async (t) => {
      const account = await storedAccount({ roles: ['user', 'admin'] })
      const differing = { rotation_salt: randomBytes(32), user_agent: 'curl/8 ⚿', scope: 'account' }
      const session = someSession(account.id, differing)
      t.equal(await sessions.open(session, account.passwordHash, account.passwordHash, nothing), true)
      const found = await sessions.find(session.id)
      t.same(
        { ...found, ...bytesOf(found) },
        {
          ...session,
          ...bytesOf(session),
          kind: 'login',
          scope: 'account',
          status: 'active',
          account_kind: 'person',
          roles: ['admin', 'user'],
        },
      )
      t.equal(await sessions.find(crypto.randomUUID()), undefined)
    })

    t.test('a session is opened only with the proved hash, which a rehash replaces', async (t) => {
      const account = await storedAccount()
      const refused = someSession(account.id)
      t.equal(await sessions.open(refused, 'another hash', 'a rehash', nothing), false)
      t.equal(await sessions.find(refused.id), undefined)
      t.same(await accounts.find(account.id), account)

      const session = someSession(account.id)
      t.equal(await sessions.open(session, account.passwordHash, 'a rehash', nothing), true)
      t.same(
        await accounts.find(account.id),
        { ...account, passwordHash: 'a rehash' },
        'nothing else changes',
      )
      t.equal(await sessions.open(someSession(account.id), account.passwordHash, 'a rehash', nothing), false)
    })

    t.test('no session is opened for a disabled account', async (t) => {
      const account = await storedAccount({ status: 'disabled' })
      const session = someSession(account.id)
      t.equal(await sessions.open(session, account.passwordHash, account.passwordHash, nothing), false)
      t.equal(await sessions.find(session.id), undefined)
      t.match(await sessions.findCredentials(account.email), { status: 'disabled' })
    })

    t.test('a rotation happens once, from the hash it names', async (t) => {
      const session = await stored()
      const to = rotationAt(NOON + 1)
      t.equal(await sessions.rotate(session.id, randomBytes(32), to), false)
      t.match(await sessions.find(session.id), { rotated_at: NOON, rotation_salt: null })

      t.equal(await sessions.rotate(session.id, session.secret_hash, to), true)
      const rotated = await sessions.find(session.id)
      t.match(rotated, { rotated_at: NOON + 1, last_used_at: NOON + 1, expires_at: to.expires_at })
      t.same(bytesOf(rotated), bytesOf({ ...session, ...to }))

      t.equal(await sessions.rotate(session.id, session.secret_hash, to), false, 'that hash is of the past')
      t.equal(await sessions.rotate(crypto.randomUUID(), to.secret_hash, to), false)
    })

    t.test('of many rotations from one hash one takes place', async (t) => {
      const session = await stored()
      const rotations = Array.from({ length: 10 }, () =>
        sessions.rotate(session.id, session.secret_hash, rotationAt(NOON)),
      )
      t.equal((await Promise.all(rotations)).filter((won) => won).length, 1)
    })

    t.test('sessions are listed, the last used first, without the expired and up to a limit', async (t) => {
      const account = await storedAccount()
      const used = async (last_used_at: number, expires_at = NOON + 10) =>
        (await stored({ last_used_at, expires_at }, account)).id
      const [first, third, second] = [await used(NOON - 1), await used(NOON - 3), await used(NOON - 2)]
      await used(NOON, NOON)
      await stored()
      const ids = async (limit: number) =>
        (await sessions.list(account.id, NOON, limit)).map((session) => session.id)
      t.same(await ids(100), [first, second, third])
      t.same(await ids(2), [first, second])
      t.same(await sessions.list(crypto.randomUUID(), NOON, 100), [])
    })

    t.test('sessions used at the same moment are listed the newest first', async (t) => {
      const account = await storedAccount()
      const opened = [await stored({}, account), await stored({}, account), await stored({}, account)]
      const ids = (await sessions.list(account.id, NOON, 100)).map((session) => session.id)
      t.same(
        ids,
        opened
          .map((session) => session.id)
          .sort()
          .reverse(),
      )
    })

    t.test('one session ends, or all but one, or all, of one account', async (t) => {
      const account = await storedAccount()
      const [a, b, c] = [
        (await stored({}, account)).id,
        (await stored({}, account)).id,
        (await stored({}, account)).id,
      ]
      const other = await stored()

      const end = (which: Which, revokeAlso?: string) =>
        sessions.end(account.id, which, NOON, nothing, revokeAlso).then(endedSessions)

      t.same(await end({ only: other.id }), { count: 0, ids: [] }, 'not of another account')
      t.same(await end({ only: a }), { count: 1, ids: [a] })
      t.same(await end({ only: a }), { count: 0, ids: [] }, 'not twice')
      t.same(await end({ except: b }), { count: 1, ids: [c] })
      const d = (await stored({}, account)).id
      t.same(await end('all'), { count: 2, ids: [b, d].sort() })
      t.ok(await sessions.find(other.id))
    })

    t.test('what ends is revoked, and what is to be revoked also where it has ended before', async (t) => {
      const account = await storedAccount()
      const { id } = await stored({}, account)
      const also = crypto.randomUUID()
      const store = createRevocationStore(db)
      const { seq } = await store.head()
      const ended = await sessions.end(account.id, 'all', NOON, nothing, also)
      t.same(endedSessions(ended), { count: 1, ids: [id, also].sort() })
      t.same(await store.after(seq, 10), ended.revocations)
      t.same(
        ended.revocations.map((each) => each.seq),
        [seq + 1, seq + 2],
      )

      t.same(await sessions.end(account.id, 'all', NOON, nothing), { count: 0, revocations: [] })
      t.same(endedSessions(await sessions.end(account.id, 'all', NOON, nothing, also)), {
        count: 0,
        ids: [also],
      })
      const open = await stored({}, account)
      const once = await sessions.end(account.id, { only: open.id }, NOON, nothing, open.id)
      t.same(endedSessions(once), { count: 1, ids: [open.id] }, 'each once')
    })

    t.test('a credential is used with its secret, until it expires', async (t) => {
      const account = await storedAccount()
      const credential = await stored({ kind: 'credential', scope: 'revocations:read' }, account)
      const { id, secret_hash: hash } = credential
      const used = async () => (await sessions.find(id))?.last_used_at
      const expires = credential.expires_at

      t.equal(await sessions.useCredential(id, randomBytes(32), NOON + 1), false)
      t.equal(await sessions.useCredential(crypto.randomUUID(), hash, NOON + 1), false)
      t.equal(await sessions.useCredential(id, hash, expires), false)
      t.equal(await used(), NOON, 'what is refused leaves no trace')
      t.equal(await sessions.useCredential(id, hash, expires - 1), true)
      t.equal(await used(), expires - 1)

      const login = await stored({}, account)
      t.equal(await sessions.useCredential(login.id, login.secret_hash, NOON), false, 'a login is none')
    })

    t.test('the address of a service account finds no login', async (t) => {
      const { id, email } = await storedAccount()
      t.equal((await sessions.findCredentials(email))?.id, id)
      await db.updateTable('accounts').set({ kind: 'service' }).where('id', '=', id).execute()
      t.equal(await sessions.findCredentials(email), undefined)
      const session = await stored({}, { id, passwordHash: 'the first hash' })
      t.match(await sessions.find(session.id), { account_kind: 'service' })
    })

    t.test('a sweep deletes what has expired, a batch at a time', async (t) => {
      await db.deleteFrom('sessions').execute()
      const account = await storedAccount()
      const expired = Array.from({ length: 501 }, (_, i) => someSession(account.id, { expires_at: NOON - i }))
      await db.insertInto('sessions').values(expired).execute()
      const alive = await stored({ expires_at: NOON + 1 }, account)

      t.same(await sessions.sweep(NOON), { deleted: 500, full: true })
      t.ok(await sessions.find(expired[0]?.id as string), 'the longest expired go first')
      t.same(await sessions.sweep(NOON), { deleted: 1, full: false })
      t.same(await sessions.sweep(NOON), { deleted: 0, full: false })
      t.ok(await sessions.find(alive.id))
    })
  })
}

/** A rotation to a secret of which nothing is known, after which the session is good for another hour. */
function rotationAt(rotated_at: number) {
  const expires_at = rotated_at + 3_600_000
  return { secret_hash: randomBytes(32), rotation_salt: randomBytes(32), rotated_at, expires_at }
}

/** What came of ending sessions: how many, and which are revoked as of noon. */
function endedSessions({ count, revocations }: EndedSessions) {
  const ids = revocations.map((each) => 'sessionId' in each && each.revokedAt === NOON && each.sessionId)
  return { count, ids: ids.sort() }
}

type Bytes = 'seal_key' | 'secret_hash' | 'rotation_salt'

/** One driver gives a Buffer and the other a Uint8Array: the same bytes. */
function bytesOf(session: { [Name in Bytes]?: Uint8Array | null } | undefined) {
  const hex = (bytes: Uint8Array | null | undefined) => bytes && Buffer.from(bytes).toString('hex')
  return {
    seal_key: hex(session?.seal_key),
    secret_hash: hex(session?.secret_hash),
    rotation_salt: hex(session?.rotation_salt),
  }
}
