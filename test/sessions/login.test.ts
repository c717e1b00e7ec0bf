import t from 'tap'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { isProblem } from '../helpers/problems.ts'
import {
  CHEAP_ARGON2,
  createService,
  databases,
  PASSWORD,
  type SignedUp,
  type TestService,
} from '../helpers/service.ts'

function logIn(service: TestService, email: string, password = PASSWORD) {
  return service.send('POST', '/auth/login', { body: { email, password } })
}

async function storedHash({ database }: TestService, { accountId }: SignedUp): Promise<string> {
  const row = await database.db
    .selectFrom('accounts')
    .select('password_hash')
    .where('id', '=', accountId)
    .executeTakeFirstOrThrow()
  return row.password_hash
}

// As if the account had been made when the parameters were lower.
async function weaken(service: TestService, { accountId }: SignedUp): Promise<void> {
  const password_hash = await (await createPasswords({ ...CHEAP_ARGON2, passes: 1 })).hash(PASSWORD)
  await service.database.db
    .updateTable('accounts')
    .set({ password_hash })
    .where('id', '=', accountId)
    .execute()
}

for (const database of databases) {
  t.test(`a login opens a session of its own, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp('Ada@example.com')
    for (const email of ['Ada@example.com', 'ADA@EXAMPLE.COM', ' ada@example.com ']) {
      const reply = await logIn(service, email)
      t.equal(reply.statusCode, 200)
      t.equal(reply.headers['cache-control'], 'no-store')
      const { access_token, refresh_token, ...terms } = reply.json()
      t.strictSame(terms, {
        token_type: 'Bearer',
        expires_in: 600,
        refresh_token_expires_in: 7 * 86_400,
        scope: 'account',
      })
      const me = (await service.send('GET', '/me', { token: access_token })).json()
      t.equal(me.sub, ada.accountId)
      t.not(me.sid, ada.sessionId)
      t.match(refresh_token, /^lkr_[\w-]{86}$/)
    }
    t.equal(service.events('login').length, 3)
  })

  t.test(`a hash of lower parameters is renewed by a login, once, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    await weaken(service, ada)
    t.match(await storedHash(service, ada), /,t=1\$|t=1,/)

    t.equal((await logIn(service, ada.email, 'not her password')).statusCode, 401)
    t.match(await storedHash(service, ada), /t=1\b/, 'a wrong password renews nothing')

    t.equal((await logIn(service, ada.email)).statusCode, 200)
    const renewed = await storedHash(service, ada)
    t.match(renewed, /t=2\b/)
    t.equal((await logIn(service, ada.email)).statusCode, 200)
    t.equal(await storedHash(service, ada), renewed)
  })

  t.test(`logins beside each other all succeed while the hash is renewed, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    await weaken(service, ada)
    const replies = await Promise.all([1, 2, 3, 4].map(() => logIn(service, ada.email)))
    t.strictSame(
      replies.map((reply) => reply.statusCode),
      [200, 200, 200, 200],
    )
    t.match(await storedHash(service, ada), /t=2\b/)
    t.equal((await logIn(service, ada.email)).statusCode, 200)
  })

  t.test(`the right password alone hears that an account is disabled, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { email, accountId } = await service.signUp()
    await service.database.db
      .updateTable('accounts')
      .set({ status: 'disabled' })
      .where('id', '=', accountId)
      .execute()
    isProblem(t, await logIn(service, email), 'account_disabled')
    isProblem(t, await logIn(service, email, 'not her password'), 'invalid_credentials')
    t.match(service.events('login_failed'), [
      { account_id: accountId, reason: 'account_disabled' },
      { account_id: accountId, reason: 'invalid_credentials' },
    ])
  })
}

t.test('an unknown address and a wrong password get the same answer', async (t) => {
  const service = await createService(t)
  const { email, accountId } = await service.signUp()
  const wrong = await logIn(service, email, 'not her password')
  const unknown = await logIn(service, 'nobody@example.com')
  isProblem(t, wrong, 'invalid_credentials')
  isProblem(t, unknown, 'invalid_credentials')

  const withoutId = ({ request_id: _, ...body }: Record<string, unknown>) => body
  t.strictSame(withoutId(wrong.json()), withoutId(unknown.json()))
  const { 'x-request-id': _, date: __, ...headers } = wrong.headers
  const { 'x-request-id': ___, date: ____, ...others } = unknown.headers
  t.strictSame(headers, others)
  t.equal(headers['www-authenticate'], 'Bearer realm="latchkey"')

  const [known, stranger] = service.events('login_failed')
  t.match(known, { account_id: accountId, reason: 'invalid_credentials' })
  t.notOk(Object.hasOwn(stranger ?? {}, 'account_id'))
})

t.test('it does not matter how a keyboard composes the characters of a password', async (t) => {
  const service = await createService(t)
  const password = 'ein Café an der Straße'
  const body = { email: 'ada@example.com', password: password.normalize('NFC') }
  await service.send('POST', '/auth/signup', { body })
  t.equal((await logIn(service, body.email, password.normalize('NFD'))).statusCode, 200)
  t.equal((await logIn(service, body.email, password.toUpperCase())).statusCode, 401)
})

t.test('what is no login is refused, and errors[] names each wrong field', async (t) => {
  const service = await createService(t)
  const good = { email: 'ada@example.com', password: PASSWORD }
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [{}, 'email', 'password'],
    [{ ...good, email: 'ada' }, 'email'],
    [{ ...good, email: ['ada@example.com'] }, 'email'],
    [{ ...good, password: '' }, 'password'],
    [{ ...good, password: { $ne: '' } }, 'password'],
    [{ ...good, password: 'x'.repeat(129) }, 'password'],
    [{ ...good, remember: true }, ''],
  ]
  for (const [body, ...paths] of refused) {
    isProblem(t, await service.send('POST', '/auth/login', { body }), 'invalid_request', paths)
  }
})
