import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { poll } from '../helpers/poll.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

/** Ways to write one address: in any case, with the letter composed or not, the domain in Unicode or in Punycode. */
const SPELLINGS = [
  'Åsa.Lind@bücher.example',
  'åsa.lind@bücher.example',
  'ÅSA.LIND@BÜCHER.EXAMPLE',
  'Åsa.Lind@Bücher.example'.normalize('NFD'),
  ' åsa.lind@xn--bcher-kva.example ',
]

/** Sends a request until there is room for it: a service that has too much to do says so with a 503. */
async function insist(send: () => Promise<LightMyRequestResponse>): Promise<LightMyRequestResponse> {
  return poll('room for a request', async () => {
    const reply = await send()
    return reply.statusCode !== 503 && reply
  })
}

function statuses(replies: LightMyRequestResponse[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { statusCode } of replies) counts[statusCode] = (counts[statusCode] ?? 0) + 1
  return counts
}

async function countAccounts({ database }: TestService): Promise<number> {
  return (await database.db.selectFrom('accounts').select('id').execute()).length
}

for (const database of databases) {
  t.test(`of fifty sign-ups of one address at once one succeeds, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        insist(() => {
          const body = { email: SPELLINGS[i % SPELLINGS.length], password: PASSWORD }
          return service.send('POST', '/auth/signup', { body })
        }),
      ),
    )
    t.same(statuses(replies), { 201: 1, 409: 49 })
    t.ok(replies.every((reply) => reply.statusCode === 201 || reply.json().code === 'email_taken'))
    t.equal(await countAccounts(service), 1)
    t.equal((await service.database.db.selectFrom('sessions').select('id').execute()).length, 1)
    t.equal(service.events('signup').length, 1)
    for (const email of SPELLINGS) {
      const login = await service.send('POST', '/auth/login', { body: { email, password: PASSWORD } })
      t.equal(login.statusCode, 200, `${email} logs in`)
    }
  })

  t.test(`of two who move to one address at once one succeeds, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const both = [await service.signUp(), await service.signUp()]
    const replies = await Promise.all(
      both.map(({ accessToken: token }, i) => {
        const body = { email: SPELLINGS[i], current_password: PASSWORD }
        return service.send('PATCH', '/account', { token, body })
      }),
    )
    t.same(statuses(replies), { 200: 1, 409: 1 })
    const loser = both[replies.findIndex((reply) => reply.statusCode === 409)]
    const account = await service.send('GET', '/account', { token: loser?.accessToken as string })
    t.equal(account.json().email, loser?.email, 'the other keeps the one it had')
  })

  t.test(`of two changes of password at once one wins, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token, email } = await service.signUp()
    const next = ['a short swim in the lake', 'a slow climb up the hill']
    const replies = await Promise.all(
      next.map((new_password) => {
        const body = { current_password: PASSWORD, new_password }
        return service.send('PUT', '/account/password', { token, body })
      }),
    )
    t.same(statuses(replies), { 204: 1, 401: 1 })

    for (const [i, password] of [...next, PASSWORD].entries()) {
      const login = await service.send('POST', '/auth/login', { body: { email, password } })
      t.equal(
        login.statusCode,
        replies[i]?.statusCode === 204 ? 200 : 401,
        'the one that was confirmed is in force',
      )
    }
  })

  t.test(`an account that is erased beside a login leaves nothing behind, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    for (let round = 0; round < 5; round++) {
      const { accessToken: token, email } = await service.signUp()
      const [erased, loggedIn] = await Promise.all([
        service.send('DELETE', '/account', { token, body: { current_password: PASSWORD } }),
        service.send('POST', '/auth/login', { body: { email, password: PASSWORD } }),
      ])
      t.equal(erased.statusCode, 204)
      t.match(loggedIn.statusCode, /200|401/)
      t.equal(await countAccounts(service), 0)
      t.same(await service.database.db.selectFrom('sessions').select('id').execute(), [])
      if (loggedIn.statusCode === 401) continue
      const { access_token } = loggedIn.json()
      t.equal((await service.send('GET', '/me', { token: access_token })).statusCode, 401)
    }
  })
}
