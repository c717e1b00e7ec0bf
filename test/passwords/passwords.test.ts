import argon2 from 'argon2'
import t from 'tap'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { Problem } from '../../src/problem.ts'
import { CHEAP_ARGON2 } from '../helpers/service.ts'

const PASSWORD = 'a long walk by the river'

/** A hash that takes about so many milliseconds to verify, whatever the machine. */
async function slowHash(ms: number): Promise<string> {
  const of = (passes: number) =>
    `$argon2id$v=19$m=8192,t=${passes},p=1$c29tZXNhbHRzb21lc2FsdA$${'A'.repeat(43)}`
  const start = performance.now()
  await argon2.verify(of(20), PASSWORD)
  return of(Math.ceil((20 * ms) / (performance.now() - start)))
}

t.test('a hash is argon2id in the PHC format, with the parameters in force', async (t) => {
  const passwords = await createPasswords({ memoryKib: 2_048, passes: 3, parallelism: 1, concurrency: 1 })
  const hash = await passwords.hash(PASSWORD)
  t.match(hash, /^\$argon2id\$v=19\$(?=.*m=2048)(?=.*t=3)(?=.*p=1)[mtp=\d,]+\$[\w+/]{22}\$[\w+/]{43}$/)
  t.not(hash, await passwords.hash(PASSWORD), 'salted afresh')
  t.equal(await argon2.verify(hash, PASSWORD), true, "and is the library's own")
})

t.test('the password and no other verifies', async (t) => {
  const passwords = await createPasswords(CHEAP_ARGON2)
  const hash = await passwords.hash(PASSWORD)
  t.equal(await passwords.verify(hash, PASSWORD), true)
  for (const other of ['', 'A long walk by the river', `${PASSWORD} `, PASSWORD.slice(1)]) {
    t.equal(await passwords.verify(hash, other), false, JSON.stringify(other))
  }
})

t.test('a password verifies however its characters are composed', async (t) => {
  const passwords = await createPasswords(CHEAP_ARGON2)
  const password = 'Ünïcödé by the rivér'
  for (const [made, typed] of [
    ['NFC', 'NFD'],
    ['NFD', 'NFC'],
  ] as const) {
    t.equal(
      await passwords.verify(await passwords.hash(password.normalize(made)), password.normalize(typed)),
      true,
    )
  }
})

t.test('a hash is made anew only where memory or passes have risen', async (t) => {
  const at = (memoryKib: number, passes: number) => createPasswords({ ...CHEAP_ARGON2, memoryKib, passes })
  const passwords = await at(2_048, 3)
  const hash = await passwords.hash(PASSWORD)
  t.equal(passwords.needsRehash(hash), false)
  t.equal((await at(4_096, 3)).needsRehash(hash), true)
  t.equal((await at(2_048, 4)).needsRehash(hash), true)
  t.equal((await at(1_024, 2)).needsRehash(hash), false)
  t.equal((await at(1_024, 4)).needsRehash(hash), true, 'one has fallen, the other risen')
})

t.test('no account is never a match, and takes as long as one', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 8_192, concurrency: 1 })
  const hash = await passwords.hash(PASSWORD)
  const times: Record<'account' | 'none', number[]> = { account: [], none: [] }
  for (let round = 0; round < 15; round++) {
    for (const [who, stored] of [
      ['account', hash],
      ['none', undefined],
    ] as const) {
      const start = performance.now()
      t.equal(await passwords.verify(stored, 'some other password'), false)
      times[who].push(performance.now() - start)
    }
  }
  const median = (list: number[]) => list.sort((a, b) => a - b)[7] as number
  const ratio = median(times.none) / median(times.account)
  t.ok(ratio > 0.4 && ratio < 2.5, `the medians are as ${ratio} to 1`)
})

t.test('as many hashes run at a time as there may', async (t) => {
  const hash = await slowHash(300)
  for (const [concurrency, order] of [
    [1, ['slow', 'quick']],
    [2, ['quick', 'slow']],
  ] as const) {
    const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency })
    const done: string[] = []
    await Promise.all([
      passwords.verify(hash, PASSWORD).then(() => done.push('slow')),
      passwords.hash(PASSWORD).then(() => done.push('quick')),
    ])
    t.strictSame(done, order, `${concurrency} at a time`)
  }
})

t.test('who would have to wait too long is told so at once, and nobody for ever', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 4_096, concurrency: 1 })
  const outcomes: Promise<unknown>[] = []
  let refused: unknown
  let answeredAfter = 0
  while (refused === undefined && outcomes.length < 20_000) {
    const start = performance.now()
    const outcome = passwords.hash(PASSWORD).catch((error) => error)
    outcomes.push(outcome)
    refused = await Promise.race([outcome, new Promise((next) => setImmediate(next))])
    if (!(refused instanceof Problem)) refused = undefined
    answeredAfter = performance.now() - start
  }
  t.match(refused, { code: 'overloaded', kind: { status: 503 }, headers: { 'retry-after': '1' } })
  t.ok(answeredAfter < 100, `after ${answeredAfter} ms`)
  t.ok(outcomes.length > 2, 'some could wait')

  for (const outcome of await Promise.all(outcomes)) {
    if (typeof outcome !== 'string' && (outcome as Problem).code !== 'overloaded') t.fail(String(outcome))
  }
  t.match(await passwords.hash(PASSWORD), /^\$argon2id/, 'the load gone, it hashes again')
})

t.test('who has waited too long after all is not hashed for any more', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency: 1 })
  const slow = passwords.verify(await slowHash(2_000), PASSWORD)
  const start = performance.now()
  await t.rejects(passwords.hash(PASSWORD), { code: 'overloaded' })
  t.ok(performance.now() - start > 1_000, 'its turn came too late')
  t.equal(await slow, false)
  t.match(await passwords.hash(PASSWORD), /^\$argon2id/)
})

t.test('a hash that can not be read is an error, and the queue goes on', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency: 1 })
  await t.rejects(passwords.verify('$argon2id$v=19$broken', PASSWORD), Error)
  t.match(await passwords.hash(PASSWORD), /^\$argon2id/)
})

t.test('parameters that argon2 can not work with are found at once', async (t) => {
  await t.rejects(createPasswords({ ...CHEAP_ARGON2, memoryKib: 1 }))
})
