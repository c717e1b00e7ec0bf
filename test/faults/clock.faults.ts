// Run by `npm run test:faults`: the clock of a node is stepped an hour forward, and back, while another's is right.
import t from 'tap'
import { createRevocationStore } from '../../src/revocations/store.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { failAt, logIn, PROXIED, stranger, WRONG } from '../helpers/attempts.ts'
import { refreshed } from '../helpers/operators.ts'
import { poll } from '../helpers/poll.ts'
import { createDatabase, createService, databases, type TestService } from '../helpers/service.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

// Tokens that are still good when the clock has been put right.
const LONG = { ACCESS_TOKEN_TTL: '1h' }

async function statusOf(service: TestService, token: string): Promise<string> {
  const reply = await service.send('GET', '/me', { token })
  return reply.statusCode === 200 ? 'let in' : reply.json().code
}

async function logOut(service: TestService, token: string): Promise<number> {
  return (await service.send('POST', '/auth/logout', { token })).statusCode
}

/** What each node does once a minute, by its own clock. */
async function sweep({ database: { db }, clock }: TestService): Promise<void> {
  await createRevocationStore(db).sweep(clock())
  await createSessionStore(db).sweep(clock())
}

for (const kind of databases) {
  t.test(`an hour ahead: access tokens expire, and nobody is signed out, on ${kind}`, async (t) => {
    const service = await createService(t, { database: kind })
    const ada = await service.signUp()
    service.clock.advance(HOUR)
    await sweep(service)
    t.equal(await statusOf(service, ada.accessToken), 'token_expired')
    const { accessToken } = await refreshed(service, ada.refreshToken)
    t.equal(await statusOf(service, accessToken), 'let in')
    t.equal((await logIn(service, ada.email)).statusCode, 200)
  })

  t.test(`an hour ahead and back: what was revoked stays so, on ${kind}`, async (t) => {
    const database = await createDatabase(t, kind)
    const [stepped, right] = [
      await createService(t, { database, env: LONG }),
      await createService(t, { database, env: LONG }),
    ]
    const ended = await Promise.all([stepped.signUp(), stepped.signUp()])
    t.equal(await logOut(stepped, ended[0].accessToken), 204)
    for (const { clock } of [stepped, right]) clock.advance(5 * MINUTE)
    t.equal(await logOut(right, ended[1].accessToken), 204)
    const isRevoked = async (service: TestService) => {
      for (const { accessToken } of ended) {
        if ((await statusOf(service, accessToken)) !== 'token_revoked') return false
      }
      return true
    }
    await poll('both to be refused', () => isRevoked(stepped))

    stepped.clock.advance(HOUR)
    await sweep(stepped)
    // It hears of what is revoked meanwhile, and forgets what it may forget.
    const meanwhile = await right.signUp()
    t.equal(await logOut(right, meanwhile.accessToken), 204)
    const { revocations } = (await stepped.send('GET', '/readyz')).json()
    t.ok(revocations.age < 5, 'how old its knowledge is, no clock tells that can be stepped')
    await sweep(stepped)

    stepped.clock.advance(-HOUR)
    await poll(
      'it to be refused',
      async () => (await statusOf(stepped, meanwhile.accessToken)) === 'token_revoked',
    )
    t.ok(await isRevoked(stepped))
    t.ok(await isRevoked(right))
    t.ok(
      await isRevoked(await createService(t, { database, env: LONG })),
      'on a node that has just started, too',
    )
  })

  t.test(`an hour ahead and back: who signed in meanwhile goes on, on ${kind}`, async (t) => {
    const database = await createDatabase(t, kind)
    const service = await createService(t, { database })
    const ada = await service.signUp()
    service.clock.advance(HOUR)
    const bob = await service.signUp()
    const ahead = await refreshed(service, ada.refreshToken)

    service.clock.advance(-HOUR)
    t.equal(await statusOf(service, ada.accessToken), 'let in', 'what was minted before is good again')
    for (const { accessToken, refreshToken } of [bob, ahead]) {
      t.equal(
        await statusOf(service, accessToken),
        'token_invalid',
        'what was minted ahead is from the future',
      )
      const renewed = await refreshed(service, refreshToken)
      t.equal(await statusOf(service, renewed.accessToken), 'let in', 'until it is refreshed')
      await refreshed(service, renewed.refreshToken)
    }
    for (const { email } of [ada, bob]) t.equal((await logIn(service, email)).statusCode, 200)
  })

  t.test(
    `a session that ended after the clock was put right has no token that comes of age, on ${kind}`,
    async (t) => {
      const service = await createService(t, { database: kind, env: LONG })
      service.clock.advance(HOUR)
      const ada = await service.signUp()
      service.clock.advance(-HOUR)
      const { accessToken } = await refreshed(service, ada.refreshToken)
      t.equal(await logOut(service, accessToken), 204)
      for (let minutes = 0; minutes < 130; minutes += 10) {
        service.clock.advance(10 * MINUTE)
        await sweep(service)
        await service.signUp()
        t.not(await statusOf(service, ada.accessToken), 'let in', `after ${minutes + 10} minutes`)
      }
    },
  )

  t.test(`no back-off is stretched by a clock that is put back, on ${kind}`, async (t) => {
    const service = await createService(t, { database: kind, env: PROXIED })
    const { email } = await service.signUp()
    await failAt(service, email, 6)
    const held = await logIn(service, email, { from: stranger(100) })
    t.equal(held.statusCode, 429)
    t.ok(Number(held.headers['retry-after']) <= 2)
    service.clock.advance(-HOUR)
    const wrong = await logIn(service, email, { from: stranger(101), password: WRONG })
    t.match(String(wrong.statusCode), /^(401|429)$/)
    const again = await logIn(service, email, { from: stranger(100) })
    if (again.statusCode === 429) {
      const wait = Number(again.headers['retry-after'])
      t.ok(wait <= 2 + 60, `it waits ${wait} s`)
      service.clock.advance(wait * 1_000)
      t.equal((await logIn(service, email, { from: stranger(100) })).statusCode, 200)
    }
  })
}
