import t from 'tap'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { testClock } from '../helpers/service.ts'

const MINUTE = 60_000

t.test('a revoked session stays revoked, and no other is', async (t) => {
  const clock = testClock()
  const revocations = createRevocations(clock)
  revocations.revoke(['a', 'b'])
  revocations.revoke(['b'])
  revocations.revoke([])
  t.equal(revocations.isRevoked('a'), true)
  t.equal(revocations.isRevoked('b'), true)
  t.equal(revocations.isRevoked('c'), false)
  t.equal(revocations.size, 2, 'each is kept once')
})

t.test('a revocation is kept for as long as a token can live, and no longer', async (t) => {
  const clock = testClock()
  const revocations = createRevocations(clock)
  revocations.revoke(['a'])
  clock.advance(60 * MINUTE + 10_000)
  revocations.revoke(['b'])
  t.equal(revocations.isRevoked('a'), true, 'an hour and a leeway at either end')
  clock.advance(1)
  revocations.revoke(['c'])
  t.equal(revocations.isRevoked('a'), false)
  t.equal(revocations.isRevoked('b'), true)
  t.equal(revocations.size, 2)
})

t.test('memory is bounded by the revocations of one token lifetime', async (t) => {
  const clock = testClock()
  const revocations = createRevocations(clock)
  let most = 0
  for (let n = 0; n < 1_000; n++) {
    revocations.revoke([`session-${n}`])
    clock.advance(MINUTE)
    most = Math.max(most, revocations.size)
  }
  t.equal(most, 61)
})

t.test('a session that is revoked again and again keeps no other one in memory', async (t) => {
  const clock = testClock()
  const revocations = createRevocations(clock)
  for (let n = 0; n < 500; n++) {
    revocations.revoke(['again', `session-${n}`])
    clock.advance(MINUTE)
  }
  t.ok(revocations.size < 70, `${revocations.size} are kept`)
  t.equal(revocations.isRevoked('again'), true)
})

t.test('no token of a revoked session is let in, however the clocks of two nodes differ', async (t) => {
  const clock = testClock()
  const revocations = createRevocations(clock)
  const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }
  const keyring = await createKeyring([SECRET_BYTES], parties)
  const verify = createVerifier({ keyring, revocations, clock, ...parties })
  // Minted for the longest time there is, by a node whose clock is as far ahead as may be.
  const claims = goodClaims(clock())
  const token = handMade(goodHeader, { ...claims, iat: claims.iat + 5, exp: claims.iat + 3_605 })

  t.equal(verify(token).sid, claims.sid)
  revocations.revoke([claims.sid])
  for (let second = 0; second <= 3_620; second++) {
    revocations.revoke(['some other session'])
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
