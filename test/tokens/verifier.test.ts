import t from 'tap'
import type { Claims } from '../../src/tokens/claims.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { encode, goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { testClock } from '../helpers/service.ts'

const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }
const keyring = await createKeyring([SECRET_BYTES], parties)

/** A verifier at a whole second, and a counter of the signatures that it checked. */
function verifier(maxStaleness?: number) {
  const clock = testClock()
  clock.advance(-(clock() % 1_000))
  const revocations = createRevocations(clock)
  let checked = 0
  const counting = {
    generation: 0,
    find(kid: unknown) {
      checked++
      return keyring.find(kid)
    },
  }
  const verify = createVerifier({ keyring: counting, revocations, clock, ...parties, maxStaleness })
  const token = (change: object = {}) => handMade(goodHeader, { ...goodClaims(clock()), ...change })
  return {
    ...{ clock, revocations, verify, token, now: clock() / 1_000 },
    checked: () => checked,
    replaced: () => {
      counting.generation++
    },
  }
}

t.test('a token is let in with its claims, and nothing that is no claim of ours', async (t) => {
  const { clock, verify } = verifier()
  const claims = goodClaims(clock())
  t.strictSame(verify(handMade(goodHeader, claims)), claims)
  t.strictSame(verify(handMade(goodHeader, { ...claims, email: 'ada@example.com', __proto__: 1 })), claims)
  const nbf = claims.iat
  t.strictSame(verify(handMade(goodHeader, { ...claims, nbf })), { ...claims, nbf })
})

t.test('claims are frozen to the bottom, the first time and every other', async (t) => {
  const { verify, token } = verifier()
  const text = token()
  for (const time of ['first', 'second']) {
    const claims = verify(text) as { -readonly [name in keyof Claims]: Claims[name] }
    t.throws(() => {
      claims.sub = 'somebody else'
    }, TypeError)
    t.throws(() => (claims.roles as string[]).push('admin'), TypeError)
    t.throws(() => Object.assign(claims, { nbf: 0 }), TypeError)
    t.strictSame(claims.roles, ['user'], time)
  }
})

t.test('a token that verified is remembered: its signature is checked once', async (t) => {
  const { verify, token, checked } = verifier()
  const text = token()
  t.equal(verify(text), verify(text))
  t.equal(checked(), 1)
  verify(token())
  t.equal(checked(), 2, 'another token is another')
})

t.test('a remembered token expires, five seconds after its time', async (t) => {
  const { clock, verify, token } = verifier()
  const text = token()
  verify(text)
  clock.advance(604_999)
  t.doesNotThrow(() => verify(text))
  clock.advance(1)
  t.throws(() => verify(text), { code: 'token_expired' })
  t.throws(() => verify(text), { code: 'token_expired' }, 'and stays so')
})

t.test('a token that is seen late for the first time has the same five seconds', async (t) => {
  const { verify, token, now } = verifier()
  const life = { iat: now - 600 }
  t.doesNotThrow(() => verify(token({ ...life, exp: now - 4 })))
  t.throws(() => verify(token({ ...life, exp: now - 5 })), { code: 'token_expired' })
})

t.test('a remembered token is refused once its session is revoked', async (t) => {
  const { clock, verify, token, revocations } = verifier()
  const [mine, sameSession, other] = [
    token({ sid: 'mine', jti: '1' }),
    token({ sid: 'mine', jti: '2' }),
    token({ sid: 'other' }),
  ]
  verify(mine)
  verify(other)
  revocations.apply([{ sessionId: 'mine', seq: 1, revokedAt: clock() }])
  t.throws(() => verify(mine), { code: 'token_revoked' })
  t.throws(() => verify(sameSession), { code: 'token_revoked' }, 'and one that was never seen')
  t.doesNotThrow(() => verify(other))
})

t.test('a remembered token is stale once its account has other roles', async (t) => {
  const { clock, verify, token, revocations } = verifier()
  const ada = { sub: 'ada', roles: ['admin', 'user'] }
  const [seen, unseen, other] = [token(ada), token({ ...ada, jti: '2' }), token({ sub: 'eve' })]
  verify(seen)
  revocations.apply([{ accountId: 'ada', roles: ['user'], seq: 1, revokedAt: clock() }])
  for (const text of [seen, unseen]) t.throws(() => verify(text), { code: 'token_stale' })
  t.doesNotThrow(() => verify(token({ sub: 'ada' })), 'a refreshed one is let in, in the same second')
  t.doesNotThrow(() => verify(other))
})

t.test('once the secrets were replaced, every signature is checked again', async (t) => {
  const { verify, token, checked, replaced } = verifier()
  const text = token()
  verify(text)
  replaced()
  verify(text)
  t.equal(checked(), 2)
  verify(text)
  t.equal(checked(), 2, 'and then remembered')
})

t.test('past the longest staleness nobody is let in, until it hears of revocations again', async (t) => {
  const { clock, verify, token, revocations } = verifier(10)
  const stale = { code: 'revocations_stale', kind: { status: 503 }, headers: { 'retry-after': '1' } }
  const [good, ended, expired] = [
    token(),
    token({ sid: 'ended' }),
    token({ iat: clock() / 1_000 - 700, exp: clock() / 1_000 - 100 }),
  ]
  t.throws(() => verify(good), stale, 'before it has heard anything')
  revocations.apply([{ sessionId: 'ended', seq: 1, revokedAt: clock() }])
  t.throws(() => verify(good), stale, 'nor by a revocation: others may be missing')
  revocations.knownUpTo(performance.now() - 9_000)
  t.doesNotThrow(() => verify(good))
  revocations.knownUpTo(performance.now() - 10_001)
  t.throws(() => verify(good), stale, 'also one that is remembered')

  t.throws(() => verify(ended), { code: 'token_revoked' }, 'what is known to be bad still is')
  t.throws(() => verify(expired), { code: 'token_expired' })
  t.throws(() => verify(`${good}A`), { code: 'token_invalid' })
  t.throws(() => verify('no token'), { code: 'token_invalid' })

  revocations.knownUpTo(performance.now())
  t.doesNotThrow(() => verify(good))
})

t.test('without a longest staleness it goes on with what it knows', async (t) => {
  const { verify, token, revocations } = verifier()
  t.doesNotThrow(() => verify(token()), 'also with nothing')
  revocations.knownUpTo(performance.now() - 86_400_000)
  t.doesNotThrow(() => verify(token()))
})

t.test('iat and nbf may be five seconds ahead, and no more', async (t) => {
  const { clock, verify, token, now } = verifier()
  const exp = now + 600
  t.doesNotThrow(() => verify(token({ exp, iat: now + 5 })))
  t.throws(() => verify(token({ exp, iat: now + 6 })), {
    code: 'token_invalid',
    message: /issued in the future/,
  })
  t.doesNotThrow(() => verify(token({ exp, nbf: now + 5 })))
  const early = token({ exp, nbf: now + 60 })
  t.throws(() => verify(early), { code: 'token_invalid', message: /not valid yet/ })
  clock.advance(55_000)
  t.doesNotThrow(() => verify(early), 'it was not remembered as a bad one')
  clock.advance(-1_000)
  t.throws(() => verify(early), { code: 'token_invalid' }, 'nor as a good one: the time is looked at again')
})

t.test('a token that failed is never remembered, so it pushes no good one out', async (t) => {
  const { verify, token, checked } = verifier()
  const good = token()
  verify(good)
  const input = good.slice(0, good.lastIndexOf('.'))
  // More than are remembered.
  for (let n = 0; n < 12_000; n++) {
    const forged = `${input}.${encode(Buffer.from(String(n).padStart(32, '0')))}`
    try {
      verify(forged)
      t.fail('a forged token was let in')
    } catch {}
  }
  const before = checked()
  t.ok(before > 12_000, 'each of them was looked at afresh')
  verify(good)
  t.equal(checked(), before, 'the good one still is remembered')
})

t.test('what is remembered is bounded', async (t) => {
  const { verify, token, checked } = verifier()
  const first = token({ jti: 'first' })
  verify(first)
  for (let n = 0; n < 10_000; n++) {
    const other = token({ jti: `token-${n}` })
    // Once the memory is full it takes a second time.
    for (const _time of ['once', 'again']) verify(other)
  }
  const before = checked()
  verify(first)
  t.equal(
    checked(),
    before + 1,
    'the one that was not used for longest is forgotten, and let in all the same',
  )
})

t.test('the longest life is an hour', async (t) => {
  const { verify, token, now } = verifier()
  t.doesNotThrow(() => verify(token({ iat: now, exp: now + 3_600 })))
  t.throws(() => verify(token({ iat: now, exp: now + 3_601 })), {
    code: 'token_invalid',
    message: /too long/,
  })
})

t.test('strings that look like JSON are no names', async (t) => {
  const { verify, token } = verifier()
  const scope = '","a":"\\":{"b":[1,2]}:\\\\'
  t.equal(verify(token({ scope })).scope, scope)
  t.doesNotThrow(
    () => verify(token({ x: { a: [{ b: { c: null } }, []], d: ':' } })),
    'nor are nested ones repeated',
  )
})
