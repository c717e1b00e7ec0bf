import { readFileSync } from 'node:fs'
import t from 'tap'
import { createVerifier, Problem, type Verifier } from '../../src/verifiers/verifier.ts'
import { alive, CREDENTIAL, startFeedServer, stream, told } from '../helpers/feed-server.ts'
import {
  type AccessTokenVectors,
  type RevocationVectors,
  type Vector,
  vectorFiles,
} from '../helpers/vectors.ts'

const read = (name: string) => readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8')
const accessTokens: AccessTokenVectors = JSON.parse(read('access-tokens.json'))
const revocations: RevocationVectors = JSON.parse(read('revocations.json'))

/** What the vector says, as the verifier sees it. */
function outcome(verify: Verifier, { token }: Vector): object {
  try {
    return { valid: true, claims: verify(token) }
  } catch (error) {
    return { valid: false, code: error instanceof Problem ? error.code : error }
  }
}

function expected({ valid, claims, code }: Vector): object {
  return valid ? { valid, claims } : { valid, code }
}

t.test('the files are what `npm run vectors` writes', async (t) => {
  for (const [name, text] of Object.entries(vectorFiles())) t.equal(read(name), text, name)
})

t.test('the verifier says of every token what its vector says', async (t) => {
  const { issuer, audience, now, secrets, vectors, derived } = accessTokens
  const clock = () => now * 1_000
  const ours = createVerifier({ secret: secrets.join(','), issuer, audience, clock })
  const billing = createVerifier({ secret: derived.secret, issuer, audience: derived.audience, clock })
  t.ok(vectors.length > 150)
  for (const vector of vectors) t.same(outcome(ours, vector), expected(vector), vector.name)
  for (const vector of derived.vectors) t.same(outcome(billing, vector), expected(vector), vector.name)
})

t.test('after what the feed told it says what the vector says', async (t) => {
  const { issuer, audience, now, secrets, vectors } = revocations
  const cursor = (n: number) => `019b79a5-2a00-4c3e-9a51-6f2d8e4b1c07.${n}`
  for (const vector of vectors) {
    const entries = vector.revocations
    // At once, and one by one.
    const together = entries.length === 0 ? [] : [told(cursor(entries.length), entries)]
    const apart = entries.map((entry, index) => told(cursor(index + 1), [entry]))
    for (const events of [together, apart]) {
      const { url } = await startFeedServer(t, { streams: [stream([...events, alive()])] })
      const feed = { url, credential: CREDENTIAL }
      const clock = () => now * 1_000
      const verify = createVerifier({ secret: secrets.join(','), issuer, audience, clock, feed })
      await verify.ready
      t.same(outcome(verify, vector), expected(vector), vector.name)
      await verify.close()
    }
  }
})

t.test('every name stands once', async (t) => {
  for (const vectors of [accessTokens.vectors, accessTokens.derived.vectors, revocations.vectors]) {
    const names = vectors.map(({ name }) => name)
    t.strictSame(names, [...new Set(names)])
  }
})
