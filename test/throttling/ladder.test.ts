import t from 'tap'
import { waitAfter } from '../../src/throttling/limits.ts'
import { failAt, logIn, PROXIED, stranger, WRONG } from '../helpers/attempts.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases } from '../helpers/service.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const DAY = 86_400 * SECOND
const [NEW, OTHER] = ['192.0.2.1', '192.0.2.2']

for (const database of databases) {
  t.test(`five failures are free, the wait doubles to 15 min, and 100 stop it, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: PROXIED })
    const { email } = await service.signUp()
    const begun = service.clock()
    const tryOnce = (index: number) => logIn(service, email, { password: WRONG, from: stranger(index) })

    for (let failures = 1; failures <= 100; failures++) {
      const failed = await tryOnce(failures)
      if (failed.statusCode !== 401) t.fail(`attempt ${failures} answered ${failed.statusCode}`)
      const wait = waitAfter(failures)
      if (wait === 0) continue
      const held = await tryOnce(failures)
      const left = String(wait / SECOND)
      if (held.statusCode !== 429 || held.headers['retry-after'] !== left) {
        t.fail(`after ${failures}: ${held.statusCode}, ${held.headers['retry-after']} s in place of ${left}`)
      }
      service.clock.advance(wait - 1)
      const almost = await tryOnce(failures)
      if (almost.statusCode !== 429 || almost.headers['retry-after'] !== '1')
        t.fail(`early after ${failures}`)
      service.clock.advance(1)
    }

    t.equal(service.clock() - begun, (1_023 + 85 * 900) * SECOND + DAY, 'it took 21.5 h, and a day')
    t.equal((await tryOnce(101)).statusCode, 401, 'from then on it is one a day')
    isProblem(t, await logIn(service, email, { from: NEW }), 'too_many_attempts')
    service.clock.advance(DAY - 1)
    isProblem(t, await logIn(service, email, { from: NEW }), 'too_many_attempts')
    service.clock.advance(1)
    t.equal((await logIn(service, email, { from: NEW })).statusCode, 200, 'and the right password ends it')
    t.equal((await logIn(service, email, { password: WRONG, from: OTHER })).statusCode, 401)
    t.equal((await logIn(service, email, { from: OTHER })).statusCode, 200)
    const failures = service.events('login_failed').map((event) => event.failures)
    t.strictSame(failures, [...Array.from({ length: 101 }, (_, index) => index + 1), 1])
  })
}

t.test('a right password clears the count that it was tried under', async (t) => {
  const service = await createService(t, { env: PROXIED })
  const { email } = await service.signUp()
  await failAt(service, email, 4)
  t.equal((await logIn(service, email, { from: NEW })).statusCode, 200)
  t.equal(await failAt(service, email, 5), 0, 'five more are free')
  isProblem(t, await logIn(service, email, { from: OTHER }), 'too_many_attempts')
})

t.test('failures are forgotten two days after the last one', async (t) => {
  const service = await createService(t, { env: PROXIED })
  const { email } = await service.signUp()
  await failAt(service, email, 9)
  service.clock.advance(2 * DAY - 1)
  const almost = await logIn(service, email, { password: WRONG, from: NEW })
  t.equal(almost.statusCode, 401)
  isProblem(t, await logIn(service, email, { from: NEW }), 'too_many_attempts')
  service.clock.advance(2 * DAY)
  t.equal(await failAt(service, email, 5), 0)
})

t.test('what is refused is not counted', async (t) => {
  const service = await createService(t, { env: PROXIED })
  const { email } = await service.signUp()
  await failAt(service, email, 5)
  for (let index = 0; index < 50; index++) {
    isProblem(t, await logIn(service, email, { password: WRONG, from: stranger(index) }), 'too_many_attempts')
  }
  service.clock.advance(SECOND)
  t.equal((await logIn(service, email, { from: NEW })).statusCode, 200)
})

t.test('a clock that is set back an hour holds nobody back for longer than a wait', async (t) => {
  const service = await createService(t, { env: PROXIED })
  const { email } = await service.signUp()
  await failAt(service, email, 16)
  isProblem(t, await logIn(service, email, { from: NEW }), 'too_many_attempts')
  service.clock.advance(-60 * MINUTE)
  t.equal((await logIn(service, email, { password: WRONG, from: NEW })).statusCode, 401, 'one more goes')
  const held = await logIn(service, email, { from: NEW })
  isProblem(t, held, 'too_many_attempts')
  t.equal(held.headers['retry-after'], '900', 'and the failures still count')
  service.clock.advance(15 * MINUTE)
  t.equal((await logIn(service, email, { from: NEW })).statusCode, 200)
})

t.test('a clock that is set forward an hour ends the wait and forgets no failure', async (t) => {
  const service = await createService(t, { env: PROXIED })
  const { email } = await service.signUp()
  await failAt(service, email, 16)
  service.clock.advance(60 * MINUTE)
  t.equal((await logIn(service, email, { password: WRONG, from: NEW })).statusCode, 401)
  t.equal((await logIn(service, email, { from: NEW })).headers['retry-after'], '900')
})

t.test('what the headers say is what drafts and RFCs let them say', async (t) => {
  const service = await createService(t, { env: { ...PROXIED, ATTEMPTS_PER_ADDRESS: '7' } })
  const { email } = await service.signUp()
  await failAt(service, email, 7)
  const account = await logIn(service, email, { from: NEW })
  for (let failed = 0; failed < 7; failed++) {
    await logIn(service, `${failed}@example.com`, { password: WRONG, from: NEW })
  }
  const address = await logIn(service, 'somebody@example.com', { from: NEW })

  // RFC 9651 section 3: a list of one string with integers as parameters.
  const policy = /^"(account|address)";q=(0|[1-9]\d{0,14})(;w=[1-9]\d{0,14})?$/
  const limit = /^"(account|address)";r=(0|[1-9]\d{0,14});t=(0|[1-9]\d{0,14})$/
  for (const reply of [account, address]) {
    isProblem(t, reply, 'too_many_attempts')
    t.match(reply.headers['ratelimit-policy'], policy)
    t.match(reply.headers.ratelimit, limit)
    const [, name, remaining, reset] = limit.exec(String(reply.headers.ratelimit)) ?? []
    t.equal(policy.exec(String(reply.headers['ratelimit-policy']))?.[1], name)
    t.equal(remaining, '0')
    t.equal(reset, reply.headers['retry-after'], 'the same moment as Retry-After')
    t.match(reply.json().detail, `try again in ${reset} s`)
  }
  t.match(account.headers, { 'ratelimit-policy': '"account";q=5', ratelimit: '"account";r=0;t=4' })
  t.match(address.headers, { 'ratelimit-policy': '"address";q=7;w=60', ratelimit: '"address";r=0;t=60' })
})
