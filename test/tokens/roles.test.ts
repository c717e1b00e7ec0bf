import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createMint } from '../../src/tokens/mint.ts'
import {
  builtInRoles,
  LONGEST_CREDENTIAL_SCOPE,
  parseRoles,
  parseScope,
  type Roles,
  ScopeName,
} from '../../src/tokens/roles.ts'
import { SECRET_BYTES } from '../helpers/hand-made-tokens.ts'
import { NOON } from '../helpers/rows.ts'

t.test('there are two roles, and each brings its scopes', async (t) => {
  const { names, scopesOf } = builtInRoles
  t.strictSame(names, ['user', 'admin'])
  t.strictSame(scopesOf(['user']), ['account'])
  t.strictSame(scopesOf(['admin']), ['account', 'admin', 'revocations:read'])
})

t.test('several roles bring each scope once, in one order', async (t) => {
  const { scopesOf } = builtInRoles
  t.strictSame(scopesOf(['user', 'admin', 'user']), scopesOf(['admin', 'user']))
  t.strictSame(scopesOf(['admin', 'user']), ['account', 'admin', 'revocations:read'])
})

t.test('a role that there is not brings nothing', async (t) => {
  for (const { scopesOf } of [builtInRoles, parseRoles('{"editor":["articles:write"]}')]) {
    t.strictSame(scopesOf([]), [])
    t.strictSame(scopesOf(['root', 'Admin', '']), [])
    t.strictSame(scopesOf(['constructor', 'toString', '__proto__']), [], 'nor does what every object has')
  }
})

t.test('roles can be added to the two that there are, and the two changed', async (t) => {
  const added = parseRoles('{ "editor": ["articles:write", "account", "articles:write"], "reader": [] }')
  t.strictSame(added.names, ['user', 'admin', 'editor', 'reader'])
  t.strictSame(added.scopesOf(['editor']), ['account', 'articles:write'])
  t.strictSame(added.scopesOf(['reader']), [])
  t.strictSame(added.scopesOf(['user']), ['account'])
  t.strictSame(added.scopesOf(['admin']), ['account', 'admin', 'revocations:read'])

  const changed = parseRoles('{"user":["account","cart"],"admin":["admin"]}')
  t.strictSame(changed.names, ['user', 'admin'])
  t.strictSame(changed.scopesOf(['user', 'admin']), ['account', 'admin', 'cart'])
  t.strictSame(parseRoles('{}').scopesOf(['user']), ['account'])
  t.strictSame(builtInRoles.scopesOf(['user']), ['account'], 'what is built in stays as it is')
})

t.test('a name that every object has is no role', async (t) => {
  const { names, scopesOf } = parseRoles('{"__proto__":["admin"]}')
  t.strictSame(names, ['user', 'admin'])
  t.strictSame(scopesOf(['__proto__', 'user']), ['account'])
})

t.test('what ROLES can not hold is refused, and told without a word of what it says', async (t) => {
  const shape = 'must be an object that names, for each role, a list of scopes'
  const refused: readonly (readonly [text: string, message: string])[] = [
    ['', 'is not JSON'],
    ['canary', 'is not JSON'],
    ['{"editor":["canary"],}', 'is not JSON'],
    ['null', shape],
    ['[]', shape],
    ['["canary"]', shape],
    ['"canary"', shape],
    ['{"editor":"canary"}', shape],
    ['{"editor":null}', shape],
    ['{"editor":{"canary":true}}', shape],
    ['{"editor":[1]}', shape],
    ['{"editor":[["canary"]]}', shape],
    ['{"Canary":[]}', shape],
    ['{"":[]}', shape],
    ['{"canary editor":[]}', shape],
    ['{"canary,editor":[]}', shape],
    [`{"canary${'x'.repeat(27)}":[]}`, shape],
    ['{"editor":["canary read"]}', shape],
    ['{"editor":["canary\\"read"]}', shape],
    ['{"editor":["canary\\\\read"]}', shape],
    ['{"editor":["Canary"]}', shape],
    ['{"editor":["café"]}', shape],
    ['{"editor":[""]}', shape],
    [`{"editor":["canary${'x'.repeat(59)}"]}`, shape],
    ['{"admin":["canary"]}', 'must give admin the scope admin'],
    ['{"admin":[]}', 'must give admin the scope admin'],
  ]
  for (const [text, message] of refused) t.throws(() => parseRoles(text), { message }, text)
  t.doesNotThrow(
    () => parseRoles(`{"${'x'.repeat(32)}":["${'y'.repeat(64)}"]}`),
    'the longest names there are',
  )
})

t.test('all roles and scopes together fit into a token', async (t) => {
  // In a token roles stand in quotes, and scopes separated by spaces.
  const lengthOf = ({ names, scopesOf }: Roles) =>
    JSON.stringify(names).length + scopesOf(names).join(' ').length
  const scopes = Array.from({ length: 8 }, (_, n) => String(n).padStart(64, 'x'))
  const text = (last: number) =>
    JSON.stringify({ editor: [...scopes, 'x'.repeat(last)], author: [...scopes, 'x'.repeat(last)] })
  const longest = Array.from({ length: 65 }, (_, n) => n).findLast((n) => n > 0 && isRead(text(n)))
  t.ok(longest !== undefined && longest < 64, `a last scope of ${longest} characters still fits`)
  t.equal(lengthOf(parseRoles(text(longest as number))), 600, 'a scope of several roles counts once')
  t.throws(() => parseRoles(text((longest as number) + 1)), {
    message: 'has more than 600 characters of roles and scopes, too many for a token',
  })

  // The shorter the names, the more of it is quotes.
  const short = (count: number) =>
    JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, n) => [n.toString(36), []])))
  const most = Array.from({ length: 300 }, (_, n) => n).findLast((n) => isRead(short(n))) as number
  const roles = parseRoles(short(most))
  t.ok(lengthOf(roles) > 595 && most < 200, `${most} roles of one or two characters`)
  const parties = { issuer: 'i'.repeat(254), audience: 'a'.repeat(126) }
  const mint = createMint(await createKeyring([SECRET_BYTES], parties), parties, 600)
  const subject = { accountId: randomUUID(), sessionId: randomUUID(), audience: parties.audience }
  const scopesOfAService = ['x'.repeat(LONGEST_CREDENTIAL_SCOPE)]
  const whole = { ...subject, roles: roles.names, scopes: scopesOfAService, sessionExpiresAt: NOON + 600_000 }
  t.doesNotThrow(
    () => mint(whole, NOON),
    'a service may have all of them and its own scopes, and issuer and audience be as long as may be',
  )
})

t.test('scopes are separated by spaces', async (t) => {
  t.strictSame(parseScope(''), [])
  t.strictSame(parseScope('account'), ['account'])
  t.strictSame(parseScope('account revocations:read'), ['account', 'revocations:read'])
  t.strictSame(parseScope(' account  admin '), ['account', 'admin'])
})

t.test('the name of a scope needs no escaping anywhere', async (t) => {
  for (const name of ['account', 'revocations:read', 'a', '0', 'a.b_c-d:e/f', 'x'.repeat(64)]) {
    t.equal(ScopeName.safeParse(name).success, true, name)
  }
  for (const name of ['', ' ', 'a b', 'A', ':a', 'a"', 'a\\', 'a\n', 'a\u0000', 'é', 'x'.repeat(65)]) {
    t.equal(ScopeName.safeParse(name).success, false, JSON.stringify(name))
  }
})

function isRead(text: string): boolean {
  try {
    parseRoles(text)
    return true
  } catch {
    return false
  }
}
