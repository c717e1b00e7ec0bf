import t from 'tap'
import { Problem } from '../../src/problem.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations, type Revocation, type Revocations } from '../../src/tokens/revocations.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { type TestClock, testClock } from '../helpers/service.ts'

const MINUTE = 60_000

/** An empty memory, and what writes revocations as this moment commits them. */
function memory(clock: TestClock = testClock()) {
  const revocations = createRevocations(clock)
  let seq = 0
  const end = (...sessionIds: string[]) =>
    revocations.apply(sessionIds.map((sessionId) => ({ sessionId, seq: ++seq, revokedAt: clock() })))
  const setRoles = (accountId: string, ...roles: string[]) =>
    revocations.apply([{ accountId, roles, seq: ++seq, revokedAt: clock() }])
  return { clock, revocations, end, setRoles }
}

/** What a check says: the code of its problem, or that the claims pass. */
function says(revocations: Revocations, sub: string, sid: string, ...roles: string[]): string {
  try {
    revocations.check({ sub, sid, roles, iat: Math.floor(Date.now() / 1_000) })
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  }
  return 'passes'
}

t.test('a session that ended is refused, and no other is', async (t) => {
  const { revocations, end } = memory()
  end('a', 'b')
  end('b')
  end()
  t.equal(says(revocations, 'ada', 'a', 'user'), 'token_revoked')
  t.equal(says(revocations, 'ada', 'b', 'user'), 'token_revoked')
  t.equal(says(revocations, 'ada', 'c', 'user'), 'passes')
  t.equal(says(revocations, 'a', 'ada', 'user'), 'passes', 'nor an account of that id')
  t.equal(revocations.size, 2, 'each is kept once')
})

t.test('after a change of roles a token with others is stale, and one with these is not', async (t) => {
  const { revocations, setRoles } = memory()
  setRoles('ada', 'user', 'admin')
  t.equal(says(revocations, 'ada', 'a', 'user'), 'token_stale', 'with fewer')
  t.equal(says(revocations, 'ada', 'a', 'user', 'admin', 'king'), 'token_stale', 'with more')
  t.equal(says(revocations, 'ada', 'a', 'user', 'king'), 'token_stale', 'with as many')
  t.equal(says(revocations, 'ada', 'a'), 'token_stale', 'with none')
  t.equal(says(revocations, 'ada', 'a', 'user', 'admin'), 'passes')
  t.equal(says(revocations, 'ada', 'a', 'admin', 'user'), 'passes', 'in whichever order')
  t.equal(says(revocations, 'eve', 'a', 'user'), 'passes', 'and nobody else')

  setRoles('ada')
  t.equal(says(revocations, 'ada', 'a', 'user', 'admin'), 'token_stale')
  t.equal(says(revocations, 'ada', 'a'), 'passes', 'no role at all is a set of roles too')
})

t.test('roles that are taken and given back make no token stale that has them', async (t) => {
  const { revocations, setRoles } = memory()
  setRoles('ada', 'user')
  t.equal(says(revocations, 'ada', 'a', 'admin', 'user'), 'token_stale')
  setRoles('ada', 'admin', 'user')
  t.equal(says(revocations, 'ada', 'a', 'admin', 'user'), 'passes')
  t.equal(says(revocations, 'ada', 'a', 'user'), 'token_stale')
  t.equal(revocations.size, 1, 'one entry an account')
})

t.test('of several that apply the strictest counts, in whichever order they came', async (t) => {
  for (const first of ['session', 'roles']) {
    const { revocations, end, setRoles } = memory()
    if (first === 'session') end('a')
    setRoles('ada', 'user')
    if (first === 'roles') end('a')
    t.equal(says(revocations, 'ada', 'a', 'admin'), 'token_revoked', `the ${first} first`)
    t.equal(says(revocations, 'ada', 'a', 'user'), 'token_revoked', 'also with the right roles')
    t.equal(says(revocations, 'ada', 'b', 'admin'), 'token_stale')
    t.equal(says(revocations, 'ada', 'b', 'user'), 'passes')
  }
})

t.test('what was committed last is in force, whichever comes last', async (t) => {
  const { clock, revocations } = memory()
  const change = (seq: number, ...roles: string[]) => [
    { accountId: 'ada', roles, seq, revokedAt: clock() + seq },
  ]
  // This node's own change is applied before another node's earlier one is read.
  revocations.apply(change(7, 'user'))
  revocations.apply(change(6, 'admin'))
  t.equal(says(revocations, 'ada', 'a', 'user'), 'passes')
  revocations.apply(change(7, 'user'))
  t.equal(says(revocations, 'ada', 'a', 'user'), 'passes')
  t.equal(says(revocations, 'ada', 'a', 'admin'), 'token_stale')
  revocations.apply(change(8, 'admin'))
  t.equal(says(revocations, 'ada', 'a', 'user'), 'token_stale')
  t.equal(says(revocations, 'ada', 'a', 'admin'), 'passes')
})

t.test('what is applied again and again changes nothing', async (t) => {
  const { clock, revocations } = memory()
  const list: readonly Revocation[] = [
    { sessionId: 'a', seq: 1, revokedAt: clock() },
    { accountId: 'ada', roles: ['user'], seq: 2, revokedAt: clock() },
  ]
  for (let n = 0; n < 3; n++) {
    revocations.apply(list)
    t.equal(revocations.size, 2)
    t.equal(says(revocations, 'ada', 'a', 'user'), 'token_revoked')
    t.equal(says(revocations, 'ada', 'b', 'admin'), 'token_stale')
  }
})

t.test('a revocation is kept for as long as a token can live and an hour, and no longer', async (t) => {
  const clock = testClock()
  clock.advance(-(clock() % 1_000))
  const { revocations, end, setRoles } = memory(clock)
  end('a')
  setRoles('ada', 'user')
  clock.advance(120 * MINUTE + 10_000)
  end('b')
  t.equal(says(revocations, 'x', 'a'), 'token_revoked', 'an hour, a leeway at either end, and an hour')
  t.equal(says(revocations, 'ada', 'x', 'admin'), 'token_stale')
  t.equal(revocations.size, 3)
  clock.advance(1)
  end('c')
  t.equal(says(revocations, 'x', 'a'), 'passes')
  t.equal(says(revocations, 'ada', 'x', 'admin'), 'passes')
  t.equal(says(revocations, 'x', 'b'), 'token_revoked')
  t.equal(revocations.size, 2)
})

t.test('what has expired is forgotten where nothing new comes, too', async (t) => {
  const { clock, revocations, end } = memory()
  end('a')
  clock.advance(122 * MINUTE)
  t.equal(revocations.size, 1)
  revocations.knownUpTo(performance.now())
  t.equal(revocations.size, 0)
})

t.test('what comes when it has expired is not kept', async (t) => {
  const { clock, revocations } = memory()
  const revokedAt = clock() - 62 * MINUTE
  revocations.apply([
    { sessionId: 'a', seq: 1, revokedAt },
    { accountId: 'ada', roles: [], seq: 2, revokedAt },
    { sessionId: 'b', seq: 3, revokedAt: clock() - 59 * MINUTE },
  ])
  t.equal(revocations.size, 1)
  t.equal(says(revocations, 'ada', 'a', 'user'), 'passes')
  t.equal(says(revocations, 'ada', 'b', 'user'), 'token_revoked')
})

t.test('memory is bounded by the revocations of two hours', async (t) => {
  const { clock, revocations, end, setRoles } = memory()
  let most = 0
  for (let n = 0; n < 1_000; n++) {
    end(`session-${n}`)
    setRoles(`account-${n}`, 'user')
    clock.advance(MINUTE)
    most = Math.max(most, revocations.size)
  }
  t.equal(most, 2 * 121)
})

t.test('what is revoked again and again keeps nothing else in memory', async (t) => {
  const { clock, revocations, end, setRoles } = memory()
  for (let n = 0; n < 500; n++) {
    end('again', `session-${n}`)
    setRoles('again', n % 2 === 0 ? 'user' : 'admin')
    setRoles(`account-${n}`, 'user')
    clock.advance(MINUTE)
  }
  t.ok(revocations.size < 260, `${revocations.size} are kept`)
  t.equal(says(revocations, 'x', 'again'), 'token_revoked')
  t.equal(says(revocations, 'again', 'x', 'user'), 'token_stale')
})

t.test('a session that is revoked again stays so for a lifetime from then on', async (t) => {
  const { clock, revocations, end } = memory()
  end('a')
  clock.advance(30 * MINUTE)
  end('a')
  clock.advance(60 * MINUTE)
  end('b')
  t.equal(says(revocations, 'x', 'a'), 'token_revoked')
  // An earlier one that comes late doesn't shorten it.
  revocations.apply([{ sessionId: 'b', seq: 1, revokedAt: clock() - 50 * MINUTE }])
  clock.advance(20 * MINUTE)
  end('c')
  t.equal(says(revocations, 'x', 'b'), 'token_revoked')
})

t.test('its age is the time since everything was known', async (t) => {
  const { revocations } = memory()
  t.equal(revocations.age(), Number.POSITIVE_INFINITY, 'before it was said the first time')
  revocations.knownUpTo(performance.now() - 5_000)
  t.ok(revocations.age() >= 5 && revocations.age() < 6, `${revocations.age()} s`)
  revocations.knownUpTo(performance.now())
  t.ok(revocations.age() >= 0 && revocations.age() < 1, `${revocations.age()} s`)
})

t.test('its age is told by no clock that can be put back', async (t) => {
  const { clock, revocations } = memory()
  revocations.knownUpTo(performance.now())
  clock.advance(-60 * MINUTE)
  t.ok(revocations.age() >= 0 && revocations.age() < 1)
})

t.test('no token of an ended session is let in, however the clocks of two nodes differ', async (t) => {
  const { clock, revocations, end } = memory()
  const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }
  const keyring = await createKeyring([SECRET_BYTES], parties)
  const verify = createVerifier({ keyring, revocations, clock, ...parties })
  // Minted for the longest time there is, by a node whose clock is as far ahead as may be.
  const claims = goodClaims(clock())
  const token = handMade(goodHeader, { ...claims, iat: claims.iat + 5, exp: claims.iat + 3_605 })

  t.equal(verify(token).sid, claims.sid)
  end(claims.sid)
  for (let second = 0; second <= 3_620; second++) {
    end('some other session')
    if (!throwsCode(() => verify(token), /^token_(revoked|expired)$/))
      t.fail(`it was let in after ${second} s`)
    clock.advance(1_000)
  }
  t.throws(() => verify(token), { code: 'token_expired' })
})

function throwsCode(act: () => unknown, code: RegExp): boolean {
  try {
    act()
    return false
  } catch (error) {
    return code.test((error as { code: string }).code)
  }
}

t.test(
  'roles from a change that is not known here yet are let in, those from before one are not',
  async (t) => {
    const { clock, revocations, setRoles } = memory()
    setRoles('ada', 'user')
    const now = Math.floor(clock() / 1_000)
    const issued = (seconds: number) => {
      const claims = { sub: 'ada', sid: 'a', roles: ['admin', 'user'], iat: now + seconds }
      try {
        revocations.check(claims)
        return 'passes'
      } catch (error) {
        return (error as Problem).code
      }
    }
    t.equal(issued(-600), 'token_stale')
    t.equal(issued(0), 'token_stale')
    t.equal(issued(14), 'token_stale', 'a slow login, or a clock that is ahead')
    t.equal(issued(16), 'passes', 'this node is the one that is behind')
  },
)

t.test('where numbers begin anew, what comes is in force over what was', async (t) => {
  const { revocations, clock } = memory()
  const set = (seq: number, ...roles: string[]) =>
    revocations.apply([{ accountId: 'ada', roles, seq, revokedAt: clock() }])
  set(7, 'admin')
  set(2, 'user')
  t.equal(says(revocations, 'ada', 'a', 'admin'), 'passes', 'the later number is in force')
  revocations.startAnew()
  t.equal(says(revocations, 'ada', 'a', 'user'), 'token_stale', 'what was known stays')
  set(2, 'user')
  t.equal(says(revocations, 'ada', 'a', 'user'), 'passes')
  t.equal(says(revocations, 'ada', 'a', 'admin'), 'token_stale')
})
