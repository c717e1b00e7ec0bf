import { randomUUID } from 'node:crypto'
import t from 'tap'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD } from '../helpers/service.ts'

const UUIDV7 = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

for (const database of databases) {
  t.test(`a sign-up makes an account and opens its first session, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const now = new Date(service.clock()).toISOString()
    const reply = await service.send('POST', '/auth/signup', {
      body: { email: '  Ada@EXAMPLE.com ', password: PASSWORD, name: ' Ada Lovelace ' },
    })
    t.equal(reply.statusCode, 201)
    t.equal(reply.headers.location, '/account')
    t.equal(reply.headers['cache-control'], 'no-store')
    const { account, tokens } = reply.json()
    const { id, ...rest } = account
    t.match(id, UUIDV7)
    t.strictSame(
      rest,
      {
        email: 'Ada@example.com',
        name: 'Ada Lovelace',
        roles: ['user'],
        status: 'active',
        created_at: now,
        updated_at: now,
      },
      'the address is trimmed and otherwise shown as typed',
    )
    const { access_token, refresh_token, ...terms } = tokens
    t.strictSame(terms, {
      token_type: 'Bearer',
      expires_in: 600,
      refresh_token_expires_in: 7 * 86_400,
      scope: 'account',
    })
    const me = await service.send('GET', '/me', { token: access_token })
    t.equal(me.json().sub, id)
    const refreshed = await service.send('POST', '/auth/refresh', { body: { refresh_token } })
    t.equal(refreshed.statusCode, 200)
  })

  t.test(`of many sign-ups for one address at once, one wins, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const replies = await Promise.all(
      ['ada@example.com', 'ADA@example.com', 'Ada@Example.com', 'adA@EXAMPLE.COM'].map((email) =>
        service.send('POST', '/auth/signup', { body: { email, password: PASSWORD } }),
      ),
    )
    t.strictSame(replies.map((reply) => reply.statusCode).sort(), [201, 409, 409, 409])
    for (const reply of replies) if (reply.statusCode === 409) isProblem(t, reply, 'email_taken')
    const { sessions } = await service.database.db
      .selectFrom('sessions')
      .select((q) => q.fn.countAll<number>().as('sessions'))
      .executeTakeFirstOrThrow()
    t.equal(Number(sessions), 1, 'who lost left no session behind')
  })
}

t.test('a name may be left out', async (t) => {
  const service = await createService(t)
  const reply = await service.send('POST', '/auth/signup', {
    body: { email: 'ada@example.com', password: PASSWORD },
  })
  t.equal(reply.json().account.name, null)
})

t.test('an address has one account, however it is written', async (t) => {
  const service = await createService(t)
  await service.signUp('zoë@bücher.example')
  for (const email of ['ZOË@bücher.example', 'zoe\u0308@bücher.example', 'zoë@XN--BCHER-KVA.example']) {
    const reply = await service.send('POST', '/auth/signup', { body: { email, password: PASSWORD } })
    isProblem(t, reply, 'email_taken')
  }
})

t.test('what is no account is refused, and errors[] names each wrong field', async (t) => {
  const service = await createService(t)
  const good = { email: 'ada@example.com', password: PASSWORD }
  const refused: readonly [body: unknown, ...paths: string[]][] = [
    [undefined, ''],
    [null, ''],
    [[], ''],
    [{}, 'email', 'password'],
    [{ ...good, email: undefined }, 'email'],
    [{ ...good, email: null }, 'email'],
    [{ ...good, email: 7 }, 'email'],
    [{ ...good, email: '' }, 'email'],
    [{ ...good, email: 'ada' }, 'email'],
    [{ ...good, email: 'ada@localhost' }, 'email'],
    [{ ...good, email: 'a@b@example.com' }, 'email'],
    [{ ...good, email: 'a da@example.com' }, 'email'],
    [{ ...good, email: `ada@${'x'.repeat(250)}.com` }, 'email'],
    [{ ...good, email: 'ada\ud800@example.com' }, 'email'],
    [{ ...good, password: undefined }, 'password'],
    [{ ...good, password: '' }, 'password'],
    [{ ...good, password: 123456789012345 }, 'password'],
    [{ ...good, password: `${PASSWORD}\u0000` }, 'password'],
    [{ ...good, password: `${PASSWORD}\udfff` }, 'password'],
    [{ ...good, password: PASSWORD.repeat(6) }, 'password'],
    [{ ...good, name: '' }, 'name'],
    [{ ...good, name: '  ' }, 'name'],
    [{ ...good, name: null }, 'name'],
    [{ ...good, name: 'x'.repeat(101) }, 'name'],
    [{ ...good, name: 'Ada\nLovelace' }, 'name'],
    [{ ...good, name: 'Ada\ud800' }, 'name'],
    [{ ...good, roles: ['admin'] }, ''],
    [{ ...good, status: 'active', id: randomUUID() }, ''],
  ]
  for (const [body, ...paths] of refused) {
    const reply = await service.send('POST', '/auth/signup', {
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { 'content-type': 'application/json' },
    })
    isProblem(t, reply, 'invalid_request', paths)
  }
})

t.test('a field that does not belong there is named', async (t) => {
  const service = await createService(t)
  const reply = await service.send('POST', '/auth/signup', {
    body: { email: 'ada@example.com', password: PASSWORD, roles: ['admin'] },
  })
  t.match(reply.json().errors, [{ path: '', message: /roles/ }])
})

t.test('a weak password is refused with each reason', async (t) => {
  const service = await createService(t)
  const email = 'adalovelace@example.com'
  const weak: readonly [password: string, ...reasons: RegExp[]][] = [
    ['fourteen chars', /at least 15/],
    ['abababababababab', /few characters/],
    ['passwordpassword', /common/],
    ['111111111111111', /few characters/],
    ['adalovelace latchkey', /address, your name or the name of this service/],
    ['latchkey', /at least 15/, /name of this service/],
  ]
  for (const [password, ...reasons] of weak) {
    const reply = await service.send('POST', '/auth/signup', { body: { email, password } })
    isProblem(
      t,
      reply,
      'password_too_weak',
      reasons.map(() => 'password'),
    )
    t.match(
      reply.json().errors,
      reasons.map((message) => ({ message })),
    )
  }
  const long = await service.send('POST', '/auth/signup', { body: { email, password: 'fifteen letters' } })
  t.equal(long.statusCode, 201, 'fifteen are enough, and nothing was kept of the refused')
})

t.test('PASSWORD_MIN_LENGTH lowers the length', async (t) => {
  const service = await createService(t, { env: { PASSWORD_MIN_LENGTH: '8' } })
  const body = { email: 'ada@example.com', password: 'walk0815' }
  t.equal((await service.send('POST', '/auth/signup', { body })).statusCode, 201)
})
