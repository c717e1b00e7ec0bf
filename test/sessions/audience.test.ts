import t from 'tap'
import { createPasswords, type Passwords } from '../../src/passwords/passwords.ts'
import { createSessions } from '../../src/sessions/sessions.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { deriveSecret, kidOf } from '../../src/tokens/secrets.ts'
import { createVerificationKeys } from '../../src/tokens/verification-keys.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { goodClaims, goodHeader, handMade, SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { trailAndThrottle } from '../helpers/parts.ts'
import { isProblem } from '../helpers/problems.ts'
import { CHEAP_ARGON2, createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const env = { JWT_OTHER_AUDIENCES: 'billing, https://shop.example' }

function logIn(service: TestService, email: string, wish: object, password = PASSWORD) {
  return service.send('POST', '/auth/login', { body: { email, password, ...wish } })
}

function refresh(service: TestService, refresh_token: string, wish: object = {}) {
  return service.send('POST', '/auth/refresh', { body: { refresh_token, ...wish } })
}

function headerOf(token: string) {
  return JSON.parse(Buffer.from(token.split('.')[0] as string, 'base64url').toString())
}

/** How another service verifies: by the secret that was derived for it, and nothing else. */
function verifierFor(audience: string, { clock, config }: TestService) {
  const parties = { issuer: config.issuer, audience }
  const keyring = createVerificationKeys([deriveSecret(SECRET_BYTES, audience)], parties)
  return createVerifier({ keyring, revocations: createRevocations(clock), clock, ...parties })
}

for (const database of databases) {
  t.test(`a token for another service is let in there and not here, on ${database}`, async (t) => {
    const service = await createService(t, { database, env })
    const ada = await service.signUp()
    const opened = (await logIn(service, ada.email, { audience: 'billing' })).json()
    const refreshed = (await refresh(service, opened.refresh_token, { audience: 'billing' })).json()
    for (const { access_token: token } of [opened, refreshed]) {
      const { sub, aud, iss, scope, roles } = verifierFor('billing', service)(token)
      t.strictSame({ sub, aud, iss }, { sub: ada.accountId, aud: 'billing', iss: service.config.issuer })
      t.strictSame({ scope, roles }, { scope: 'account', roles: ['user'] })
      t.strictSame(headerOf(token), {
        alg: 'HS256',
        typ: 'at+jwt',
        kid: kidOf(deriveSecret(SECRET_BYTES, 'billing')),
      })
      isProblem(t, await service.send('GET', '/me', { token }), 'token_invalid')
      isProblem(t, await service.send('POST', '/auth/logout', { token }), 'token_invalid')
      t.throws(() => verifierFor('https://shop.example', service)(token), { code: 'token_invalid' })
    }
  })

  t.test(
    `an audience is asked for anew each time: without it a token is for us, on ${database}`,
    async (t) => {
      const service = await createService(t, { database, env })
      const { email } = await service.signUp()
      let { refresh_token } = (await logIn(service, email, { audience: 'billing' })).json()
      for (const [wish, audience] of [
        [{}, 'latchkey'],
        [{ audience: 'https://shop.example' }, 'https://shop.example'],
        [{ audience: 'latchkey' }, 'latchkey'],
      ] as const) {
        const next = (await refresh(service, refresh_token, wish)).json()
        const me = await service.send('GET', '/me', { token: next.access_token })
        if (audience === 'latchkey') t.equal(me.json().aud, audience)
        else t.equal(verifierFor(audience, service)(next.access_token).aud, audience)
        ;({ refresh_token } = next)
      }
      t.equal(headerOf((await refresh(service, refresh_token)).json().access_token).kid, kidOf(SECRET_BYTES))
    },
  )

  t.test(`a refresh for an audience that is not configured uses up nothing, on ${database}`, async (t) => {
    const service = await createService(t, { database, env })
    const { refreshToken } = await service.signUp()
    const wish = { audience: 'somebody else' }
    isProblem(t, await refresh(service, refreshToken, wish), 'invalid_request', ['audience'])
    service.clock.advance(60_000)
    isProblem(t, await refresh(service, refreshToken, wish), 'invalid_request', ['audience'])
    const reply = await refresh(service, refreshToken, { audience: 'billing', scope: 'account' })
    t.equal(reply.statusCode, 200)
    t.strictSame(service.events('refresh_reused'), [])
  })
}

t.test('an audience that is not configured is refused, whatever the password', async (t) => {
  const service = await createService(t, { env })
  const { email } = await service.signUp()
  for (const audience of [
    'somebody else',
    'Billing',
    'billing ',
    'shop.example',
    'constructor',
    '__proto__',
  ]) {
    for (const password of [PASSWORD, 'not her password']) {
      isProblem(t, await logIn(service, email, { audience }, password), 'invalid_request', ['audience'])
    }
  }
  t.strictSame(service.events('login_failed'), [])
  t.strictSame(service.events('login'), [])
})

t.test('where none is configured, there is ours alone', async (t) => {
  const service = await createService(t)
  const { email } = await service.signUp()
  t.equal((await logIn(service, email, { audience: 'latchkey' })).statusCode, 200)
  isProblem(t, await logIn(service, email, { audience: 'billing' }), 'invalid_request', ['audience'])
})

t.test('what is no audience is refused, and errors[] names it', async (t) => {
  const service = await createService(t, { env })
  const { email, refreshToken } = await service.signUp()
  for (const audience of ['', 'x'.repeat(257), null, 7, ['billing'], { billing: true }]) {
    isProblem(t, await logIn(service, email, { audience }), 'invalid_request', ['audience'])
    isProblem(t, await refresh(service, refreshToken, { audience }), 'invalid_request', ['audience'])
  }
})

t.test('it is refused before a password is hashed', async (t) => {
  const service = await createService(t, { env })
  const { database, config, keyring, clock } = service
  const real = await createPasswords(CHEAP_ARGON2)
  let hashed = 0
  const counted = <Arguments extends unknown[], Result>(work: (...given: Arguments) => Result) => {
    return (...given: Arguments) => {
      hashed++
      return work(...given)
    }
  }
  const passwords: Passwords = { ...real, hash: counted(real.hash), verify: counted(real.verify) }
  const sessions = createSessions({
    store: createSessionStore(database.db),
    mint: createMint(keyring, config, config.accessTokenTtl),
    roles: config.roles,
    audiences: [config.audience, ...config.otherAudiences],
    idleTtl: config.refreshTokenTtl,
    sessionTtl: config.sessionTtl,
    revocations: createRevocations(clock),
    ...trailAndThrottle(service),
    ...{ passwords, clock },
  })
  const client = { ip: '192.0.2.7', userAgent: null, requestId: 'a' }
  const logIn = (audience: string) => sessions.logIn('nobody@example.com', PASSWORD, { audience }, client)
  await t.rejects(logIn('somebody else'), { code: 'invalid_request' })
  t.equal(hashed, 0)
  await t.rejects(logIn('billing'), { code: 'invalid_credentials' })
  t.equal(hashed, 1)
})

t.test('who holds the secret of another audience can make no token for us', async (t) => {
  const service = await createService(t, { env })
  const secret = deriveSecret(SECRET_BYTES, 'billing')
  const claims = goodClaims(service.clock())
  for (const header of [goodHeader, { ...goodHeader, kid: kidOf(secret) }]) {
    for (const aud of ['latchkey', 'billing']) {
      const token = handMade(header, { ...claims, aud }, secret)
      isProblem(t, await service.send('GET', '/me', { token }), 'token_invalid')
    }
  }
})
