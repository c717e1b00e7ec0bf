import t from 'tap'
import { createAccountStore } from '../../src/accounts/store.ts'
import { bytesOf } from '../../src/opaque.ts'
import { type CredentialPurpose, newCredential } from '../../src/sessions/credentials.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { deriveSecret, kidOf } from '../../src/tokens/secrets.ts'
import { SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { PROMPTLY, poll } from '../helpers/poll.ts'
import { isProblem } from '../helpers/problems.ts'
import { nothing, someAccount } from '../helpers/rows.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const FEED = 'revocations:read'
const SCOPES = ['articles:write', FEED]

/** A credential of an account, in the database. */
async function addCredential(
  { database, clock }: TestService,
  accountId: string,
  differing: Partial<CredentialPurpose> = {},
) {
  const purpose = { accountId, scopes: SCOPES, label: 'billing', ...differing }
  const { row, credential } = newCredential(purpose, clock())
  await database.db.insertInto('sessions').values(row).execute()
  return { accountId, id: row.id, credential }
}

/** A service account with a credential. */
async function addService(service: TestService, differing: Partial<CredentialPurpose> = {}) {
  const { db } = service.database
  const account = someAccount({ name: 'Billing', roles: ['user'] })
  await createAccountStore(db).create(account, account.email, undefined, nothing)
  await db.updateTable('accounts').set({ kind: 'service' }).where('id', '=', account.id).execute()
  await db.deleteFrom('account_roles').where('account_id', '=', account.id).execute()
  return { ...(await addCredential(service, account.id, differing)), email: account.email }
}

function exchange(service: TestService, credential: unknown, wish: object = {}) {
  return service.send('POST', '/auth/token', { body: { credential, ...wish } })
}

/** The 48 bytes of a credential: its id, and its secret. */
const partsOf = (credential: string) => bytesOf(credential, 'lkc_', 48) as Buffer

const written = (bytes: Buffer, prefix = 'lkc_') => prefix + bytes.toString('base64url')

for (const database of databases) {
  t.test(`a credential gives an access token, as often as it is shown, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, id, credential } = await addService(service)
    const tokens = new Set<string>()
    for (let n = 0; n < 3; n++) {
      service.clock.advance(60_000)
      const reply = await exchange(service, credential)
      t.equal(reply.statusCode, 200)
      t.equal(reply.headers['cache-control'], 'no-store')
      const { access_token, ...terms } = reply.json()
      const scope = 'articles:write revocations:read'
      t.strictSame(terms, { token_type: 'Bearer', expires_in: 600, scope })
      const me = await service.send('GET', '/me', { token: access_token })
      t.match(me.json(), { sub: accountId, sid: id, roles: [], scope, aud: 'latchkey' })
      tokens.add(access_token)
      const used = await createSessionStore(service.database.db).find(id)
      t.equal(used?.last_used_at, service.clock(), 'and when it was used is known')
    }
    t.equal(tokens.size, 3)
    t.strictSame(service.events('login_failed'), [])
  })

  t.test(`it opens what its scopes open, and nothing else, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { credential } = await addService(service)
    const { access_token: token } = (await exchange(service, credential)).json()
    t.equal((await service.send('GET', '/revocations', { token })).statusCode, 200)
    isProblem(t, await service.send('GET', '/account', { token }), 'insufficient_scope')
    isProblem(t, await service.send('GET', '/account/sessions', { token }), 'insufficient_scope')

    const narrow = (await exchange(service, credential, { scope: 'articles:write' })).json()
    t.equal(narrow.scope, 'articles:write')
    const refused = await service.send('GET', '/revocations', { token: narrow.access_token })
    isProblem(t, refused, 'insufficient_scope')
    for (const scope of ['account', `${FEED} admin`, 'revocations']) {
      isProblem(t, await exchange(service, credential, { scope }), 'invalid_request', ['scope'])
    }
    t.equal((await exchange(service, credential)).json().scope, SCOPES.join(' '), 'it is as good as before')
  })

  t.test(`the credential of a person does what the person may do, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    const { credential } = await addCredential(service, ada.accountId, { scopes: ['account', 'admin'] })
    const tokens = (await exchange(service, credential)).json()
    t.equal(tokens.scope, 'account')
    t.equal((await service.send('GET', '/account', { token: tokens.access_token })).statusCode, 200)
    isProblem(t, await exchange(service, credential, { scope: 'admin' }), 'invalid_request', ['scope'])
    await service.database.db
      .insertInto('account_roles')
      .values({ account_id: ada.accountId, role: 'admin' })
      .execute()
    t.equal((await exchange(service, credential)).json().scope, 'account admin')
  })

  t.test(`one that was altered in any byte is refused, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { credential } = await addService(service)
    const bytes = partsOf(credential)
    for (let index = 0; index < bytes.length; index++) {
      const altered = Buffer.from(bytes)
      altered[index] = (altered[index] as number) ^ (1 << (index % 8))
      isProblem(t, await exchange(service, written(altered)), 'invalid_credentials')
    }
    t.equal((await exchange(service, credential)).statusCode, 200)
  })

  t.test(`one that expired is refused, and no token outlives it, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    service.clock.advance(-(service.clock() % 1_000))
    const { credential } = await addService(service, { ttl: 700 })
    t.equal((await exchange(service, credential)).json().expires_in, 600)
    service.clock.advance(640_000)
    t.equal((await exchange(service, credential)).json().expires_in, 60)
    service.clock.advance(59_999)
    t.equal((await exchange(service, credential)).statusCode, 200)
    service.clock.advance(1)
    isProblem(t, await exchange(service, credential), 'invalid_credentials')
  })

  t.test(`one without an end is good for ever, and is never swept, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { credential } = await addService(service)
    service.clock.advance(100 * 365 * 86_400_000)
    const { deleted } = await createSessionStore(service.database.db).sweep(service.clock())
    t.equal(deleted, 0)
    t.equal((await exchange(service, credential)).json().expires_in, 600)
  })

  t.test(`once it is ended, neither it nor its tokens are let in, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, id, credential } = await addService(service)
    const other = await addCredential(service, accountId)
    const { access_token: token } = (await exchange(service, credential)).json()
    const others = (await exchange(service, other.credential)).json()
    await createSessionStore(service.database.db).end(accountId, { only: id }, service.clock(), nothing)

    isProblem(t, await exchange(service, credential), 'invalid_credentials')
    const me = (token: string) => service.send('GET', '/me', { token })
    await poll('its token to be refused', async () => (await me(token)).statusCode === 401, PROMPTLY)
    isProblem(t, await me(token), 'token_revoked')
    t.equal((await me(others.access_token)).statusCode, 200, 'the other one of the account stays')
    t.equal((await exchange(service, other.credential)).statusCode, 200)
  })

  t.test(`whoever has its token can end it, as any session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { credential } = await addService(service)
    const { access_token: token } = (await exchange(service, credential)).json()
    t.equal((await service.send('POST', '/auth/logout', { token })).statusCode, 204)
    isProblem(t, await service.send('GET', '/me', { token }), 'token_revoked')
    isProblem(t, await exchange(service, credential), 'invalid_credentials')
  })

  t.test(`that of a disabled account is refused, and hears why, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, credential } = await addService(service)
    const { db } = service.database
    const setStatus = (status: 'active' | 'disabled') =>
      db.updateTable('accounts').set({ status }).where('id', '=', accountId).execute()
    await setStatus('disabled')
    isProblem(t, await exchange(service, credential), 'account_disabled')
    const wrong = partsOf(credential)
    wrong[47] = (wrong[47] as number) ^ 1
    isProblem(t, await exchange(service, written(wrong)), 'invalid_credentials')
    await setStatus('active')
    t.equal((await exchange(service, credential)).statusCode, 200)
  })

  t.test(`a credential is no refresh token, and a refresh token none, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { id, credential } = await addService(service)
    const refresh = (refresh_token: string) =>
      service.send('POST', '/auth/refresh', { body: { refresh_token } })
    const bytes = partsOf(credential)
    const sealed = Buffer.concat([bytes, Buffer.alloc(16)])
    for (const text of [credential, written(bytes, 'lkr_'), written(sealed, 'lkr_')]) {
      isProblem(t, await refresh(text), 'refresh_token_invalid')
    }
    t.ok(await createSessionStore(service.database.db).exists(id), 'which ends nothing')
    t.strictSame(service.events('refresh_reused'), [])

    const { refreshToken } = await service.signUp()
    const login = Buffer.from(refreshToken.slice('lkr_'.length), 'base64url')
    for (const text of [refreshToken, written(login), written(login.subarray(0, 48))]) {
      isProblem(t, await exchange(service, text), 'invalid_credentials')
    }
    t.equal((await refresh(refreshToken)).statusCode, 200)
  })

  t.test(`nobody logs in by the address of a service account, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId, email } = await addService(service)
    const { accountId: adaId } = await service.signUp()
    const { db } = service.database
    const { password_hash } = await db
      .selectFrom('accounts')
      .select('password_hash')
      .where('id', '=', adaId)
      .executeTakeFirstOrThrow()
    await db.updateTable('accounts').set({ password_hash }).where('id', '=', accountId).execute()
    const reply = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
    isProblem(t, reply, 'invalid_credentials')
  })

  t.test(`it is exchanged for tokens of another audience, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { JWT_OTHER_AUDIENCES: 'billing' } })
    const { credential } = await addService(service)
    const { access_token: token } = (await exchange(service, credential, { audience: 'billing' })).json()
    const [header, claims] = token
      .split('.')
      .slice(0, 2)
      .map((part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()))
    t.equal(claims.aud, 'billing')
    t.equal(header.kid, kidOf(deriveSecret(SECRET_BYTES, 'billing')))
    isProblem(t, await service.send('GET', '/me', { token }), 'token_invalid')
    for (const text of [credential, 'lkc_x']) {
      const wish = { audience: 'somebody else' }
      isProblem(t, await exchange(service, text, wish), 'invalid_request', ['audience'])
    }
  })

  t.test(`nothing of its secret is in the database or in the log, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { id, credential } = await addService(service)
    await exchange(service, credential)
    await exchange(service, `${credential}A`)
    await exchange(service, credential, { scope: 'account' })
    const row = await createSessionStore(service.database.db).find(id)
    const secret = partsOf(credential).subarray(16)
    const kept = Object.values(row ?? {}).map((value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value),
    )
    const everything = [...kept, ...service.log].join('\n')
    for (const part of [secret.subarray(0, 8), secret.subarray(8, 16), secret.subarray(24)]) {
      t.notOk(everything.includes(part.toString('hex')))
    }
    t.notOk(everything.includes(credential.slice(4, 40)))
    t.notOk(everything.includes(credential.slice(40)))
  })
}

t.test('a wrong one is recorded, by its id where it has one', async (t) => {
  const service = await createService(t)
  const { id, credential } = await addService(service)
  const wrong = partsOf(credential)
  wrong[20] = (wrong[20] as number) ^ 1
  await exchange(service, written(wrong))
  await exchange(service, 'lkc_x')
  const [first, second] = service.events('login_failed')
  t.match(first, { session_id: id, reason: 'invalid_credentials', ip: '127.0.0.1' })
  t.match(second, { reason: 'invalid_credentials' })
  t.notOk(Object.hasOwn(second ?? {}, 'session_id'))
})

t.test('every wrong one gets the same answer', async (t) => {
  const service = await createService(t)
  const { credential } = await addService(service)
  const bytes = partsOf(credential)
  const wrong = [
    ...['x', 'lkc_', credential.slice(4), `LKC_${credential.slice(4)}`, ` ${credential}`, `${credential}=`],
    ...[
      `${credential}A`,
      credential.slice(0, -1),
      `lkc_${bytes.toString('hex')}`,
      `lkc_${bytes.toString('base64')}.`,
    ],
    ...[written(bytes.subarray(1)), written(Buffer.concat([bytes, bytes])), written(Buffer.alloc(48))],
    ...['lkc_\u0000', 'lkc_😀', "lkc_' or 1=1 --", '__proto__'],
  ]
  const bodies = new Set<string>()
  for (const text of wrong) {
    const reply = await exchange(service, text)
    isProblem(t, reply, 'invalid_credentials')
    t.equal(reply.headers['www-authenticate'], 'Bearer realm="latchkey"')
    const { request_id: _, ...body } = reply.json()
    bodies.add(JSON.stringify(body))
  }
  t.equal(bodies.size, 1)
})

t.test('what is no exchange is refused, and errors[] names each wrong field', async (t) => {
  const service = await createService(t)
  const { credential } = await addService(service)
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [{}, 'credential'],
    [{ credential: '' }, 'credential'],
    [{ credential: null }, 'credential'],
    [{ credential: [credential] }, 'credential'],
    [{ credential: 'x'.repeat(257) }, 'credential'],
    [{ credential, scope: '', audience: '' }, 'scope', 'audience'],
    [{ credential, grant_type: 'client_credentials' }, ''],
  ]
  for (const [body, ...paths] of refused) {
    isProblem(t, await service.send('POST', '/auth/token', { body }), 'invalid_request', paths)
  }
})

t.test('a new credential is like no other, and its row does not tell it', async (t) => {
  const purpose = { accountId: '019a2b3c-4d5e-7f60-8a1b-2c3d4e5f6071', scopes: ['b', 'a'], label: 'a label' }
  const now = Date.UTC(2026, 0, 31, 9, 30)
  const made = Array.from({ length: 20 }, () => newCredential(purpose, now))
  for (const of of [
    made.map(({ credential }) => credential),
    made.map(({ row }) => row.id),
    made.map(({ row }) => Buffer.from(row.secret_hash).toString('hex')),
    made.map(({ row }) => Buffer.from(row.seal_key).toString('hex')),
  ]) {
    t.equal(new Set(of).size, made.length)
  }
  for (const { row, credential } of made) {
    t.match(credential, /^lkc_[\w-]{64}$/)
    t.match(row, {
      account_id: purpose.accountId,
      kind: 'credential',
      scope: 'b a',
      user_agent: 'a label',
      rotation_salt: null,
      created_at: now,
      expires_at: Date.UTC(9999, 11, 31, 23, 59, 59),
    })
  }
  t.equal(newCredential({ ...purpose, ttl: 60 }, now).row.expires_at, now + 60_000)
})
