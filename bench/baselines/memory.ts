/**
 * What a remembered token and a live revocation take of the heap, with everything that is kept for them. Both are made
 * as a request and a database make them: a token is cut from a header, an id comes out of JSON.
 */

import { randomUUIDv7 } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { bearerToken } from '../../src/tokens/bearer.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { createTokenMemory } from '../../src/tokens/token-memory.ts'
import { createVerifier } from '../../src/tokens/verifier.ts'
import { answerJobs } from './shared/jobs.ts'

export interface MemoryJob {
  readonly what: 'tokens' | 'revocations'
  readonly count: number
}

const BATCH = 5_000
const SECRET = crypto.getRandomValues(Buffer.alloc(32))
const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

/** Nothing of what was filled is collected before it was measured. */
const kept = new Set<unknown>()

// Answers with bytes of heap for each.
answerJobs<MemoryJob, number>(async ({ what, count }) => {
  const fill = what === 'tokens' ? await tokensFiller(count) : fillRevocations
  const before = heapUsed()
  kept.add(fill(count))
  const bytes = heapUsed() - before
  kept.clear()
  return bytes / count
})

async function tokensFiller(count: number): Promise<() => unknown> {
  const keyring = await createKeyring([SECRET], parties)
  const mint = createMint(keyring, parties, 3_600)
  const memory = createTokenMemory(count)
  const verify = createVerifier({
    ...{ keyring, memory, clock: Date.now, ...parties },
    revocations: createRevocations(Date.now),
  })
  // All at once, and outside of the heap, as if they lay in the sockets of the clients.
  const headers = Array.from({ length: count }, () => {
    const subject = { accountId: randomUUIDv7(), sessionId: randomUUIDv7(), audience: parties.audience }
    const granted = { roles: ['user'], scopes: ['account'], sessionExpiresAt: Date.now() + 7_200_000 }
    return Buffer.from(`Bearer ${mint({ ...subject, ...granted }, Date.now()).token}`)
  })
  return () => {
    while (headers.length > 0) verify(bearerToken(headers.pop()?.toString('latin1')))
    return memory
  }
}

function fillRevocations(count: number): unknown {
  const revocations = createRevocations(Date.now)
  for (let seq = 0; seq < count; ) {
    const length = Math.min(BATCH, count - seq)
    const batch = Array.from({ length }, () => ({
      seq: ++seq,
      revokedAt: Date.now(),
      sessionId: randomUUIDv7(),
    }))
    revocations.apply(JSON.parse(JSON.stringify(batch)))
  }
  return revocations
}

function heapUsed(): number {
  collect()
  return process.memoryUsage().heapUsed
}
