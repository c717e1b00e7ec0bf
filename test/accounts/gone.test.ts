import { randomUUIDv7 } from 'node:crypto'
import t from 'tap'
import { createAccounts } from '../../src/accounts/accounts.ts'
import { createRegistration } from '../../src/accounts/registration.ts'
import { createAccountStore } from '../../src/accounts/store.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { createPolicy } from '../../src/passwords/policy.ts'
import { createSessions } from '../../src/sessions/sessions.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { trailAndThrottle } from '../helpers/parts.ts'
import { CHEAP_ARGON2, createService, databases, PASSWORD } from '../helpers/service.ts'

for (const database of databases) {
  t.test(
    `an account that is erased just before a rule looks is gone for every rule, on ${database}`,
    async (t) => {
      const service = await createService(t, { database })
      const { database: opened, config, keyring, clock } = service
      const store = createAccountStore(opened.db)
      const passwords = await createPasswords(CHEAP_ARGON2)
      const policy = createPolicy(config.passwordMinLength)
      const revocations = createRevocations(clock)
      const shared = { passwords, policy, revocations, clock, ...trailAndThrottle(service) }
      const sessions = createSessions({
        ...shared,
        store: createSessionStore(opened.db),
        mint: createMint(keyring, config, config.accessTokenTtl),
        roles: config.roles,
        audiences: [config.audience],
        idleTtl: config.refreshTokenTtl,
        sessionTtl: config.sessionTtl,
      })
      const registration = createRegistration({ store, passwords, policy, clock })
      const accounts = createAccounts({ ...shared, store, registration, sessions })

      const bearer = { sub: randomUUIDv7(), sid: randomUUIDv7() }
      const client = { ip: '192.0.2.7', userAgent: null, requestId: 'a' }
      const gone = { code: 'token_revoked' }
      await t.rejects(accounts.read(bearer), gone)
      await t.rejects(accounts.change(bearer, { name: 'Ada' }, undefined, client), gone)
      await t.rejects(accounts.change(bearer, { email: 'ada@example.com' }, PASSWORD, client), gone)
      await t.rejects(accounts.changePassword(bearer, { current: PASSWORD, next: PASSWORD }, client), gone)
      await t.rejects(accounts.erase(bearer, PASSWORD, client), gone)
    },
  )
}
