import t from 'tap'
import { roles, scopesOf } from '../../src/tokens/roles.ts'

t.test('there are two roles, and each brings its scopes', async (t) => {
  t.strictSame(roles, ['user', 'admin'])
  t.strictSame(scopesOf(['user']), ['account'])
  t.strictSame(scopesOf(['admin']), ['account', 'admin', 'revocations:read'])
})

t.test('several roles bring each scope once, in one order', async (t) => {
  t.strictSame(scopesOf(['user', 'admin', 'user']), scopesOf(['admin', 'user']))
  t.strictSame(scopesOf(['admin', 'user']), ['account', 'admin', 'revocations:read'])
})

t.test('a role that there is not brings nothing', async (t) => {
  t.strictSame(scopesOf([]), [])
  t.strictSame(scopesOf(['root', 'Admin', '']), [])
  t.strictSame(scopesOf(['constructor', 'toString', '__proto__']), [], 'nor does what every object has')
})
