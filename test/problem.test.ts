import t from 'tap'
import { Problem, type ProblemCode, problemKinds } from '../src/problem.ts'

const codes = Object.keys(problemKinds) as ProblemCode[]

t.test('a problem is an error with the code, the status and the title of its row', async (t) => {
  for (const code of codes) {
    const problem = new Problem(code)
    t.type(problem, Error)
    t.equal(problem.name, 'Problem')
    t.equal(problem.code, code)
    t.equal(problem.kind, problemKinds[code])
    t.equal(problem.message, problemKinds[code].title)
    t.equal(problem.errors, undefined)
    t.equal(problem.cause, undefined)
    t.match(problem.kind.title, /^[A-Z].*\.$/)
  }
})

t.test('every 401 says how to be let in, every 503 when to come again, and nothing else does', async (t) => {
  for (const code of codes) {
    const { kind, headers } = new Problem(code)
    t.equal(
      headers['www-authenticate'] !== undefined,
      kind.status === 401 || code.startsWith('insufficient'),
      code,
    )
    t.equal(headers['retry-after'] !== undefined, kind.status === 503, code)
  }
})

t.test('the challenge names an error only where there was a token', async (t) => {
  const challenge = (code: ProblemCode) => new Problem(code).headers['www-authenticate']
  t.equal(challenge('token_missing'), 'Bearer realm="latchkey"')
  t.equal(challenge('invalid_credentials'), 'Bearer realm="latchkey"')
  t.equal(
    challenge('token_expired'),
    'Bearer realm="latchkey", error="invalid_token", error_description="The access token has expired."',
  )
  t.match(challenge('insufficient_scope'), /error="insufficient_scope"/)
})

t.test('no title would break the challenge it is quoted in', async (t) => {
  // RFC 6750 section 3: what may stand in error_description.
  for (const code of codes) t.match(problemKinds[code].title, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, code)
})

t.test('what is particular to this time replaces what the table says', async (t) => {
  const cause = new Error('underneath')
  const errors = [{ path: 'a.0', message: 'must be b' }]
  const problem = new Problem('invalid_request', {
    detail: 'This once.',
    errors,
    cause,
    challenge: 'insufficient_scope',
    scope: 'admin',
    headers: { allow: 'GET' },
  })
  t.equal(problem.message, 'This once.')
  t.equal(problem.cause, cause)
  t.equal(problem.errors, errors)
  t.strictSame(problem.headers, {
    allow: 'GET',
    'www-authenticate':
      'Bearer realm="latchkey", error="insufficient_scope", error_description="This once.", scope="admin"',
  })
})

t.test('a Retry-After that is given goes before that of the table', async (t) => {
  t.strictSame(new Problem('overloaded').headers, { 'retry-after': '1' })
  t.strictSame(new Problem('overloaded', { headers: { 'retry-after': '30' } }).headers, {
    'retry-after': '30',
  })
})

t.test('who changes the headers of one answer changes no other', async (t) => {
  const problem = new Problem('token_missing')
  problem.headers['www-authenticate'] = 'changed'
  t.equal(problem.headers['www-authenticate'], 'Bearer realm="latchkey"')
})
