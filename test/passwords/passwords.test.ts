import argon2 from 'argon2'
import t from 'tap'
import { type Asker, createPasswords, type Hashing, type Passwords } from '../../src/passwords/passwords.ts'
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

t.test('a wrong password takes as long with a hash of weaker parameters', async (t) => {
  const strong = { ...CHEAP_ARGON2, memoryKib: 16_384, passes: 8, concurrency: 1 }
  const passwords = await createPasswords(strong)
  const hashes = {
    strong: await passwords.hash(PASSWORD),
    lessMemory: await (await createPasswords({ ...strong, memoryKib: 2_048 })).hash(PASSWORD),
    fewerPasses: await (await createPasswords({ ...strong, passes: 1 })).hash(PASSWORD),
    // What is left to do is less than the package takes.
    almost: await (await createPasswords({ ...strong, memoryKib: 16_000 })).hash(PASSWORD),
  }
  const times: Record<string, number[]> = { strong: [], lessMemory: [], fewerPasses: [], almost: [] }
  for (let round = 0; round < 9; round++) {
    for (const [name, hash] of Object.entries(hashes)) {
      const start = performance.now()
      t.equal(await passwords.verify(hash, 'some other password'), false)
      times[name]?.push(performance.now() - start)
    }
  }
  const median = (name: string) => times[name]?.sort((a, b) => a - b)[4] as number
  for (const name of Object.keys(hashes)) {
    const ratio = median(name) / median('strong')
    // Without the rest it would be an eighth.
    t.ok(ratio > 0.3 && ratio < 3, `${name}: the medians are as ${ratio} to 1`)
  }
  for (const hash of Object.values(hashes)) t.equal(await passwords.verify(hash, PASSWORD), true)
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

/** Lets one in after the other, each a different one, to hash unless there is other work, until one is refused. */
async function fill(
  passwords: Passwords,
  asker: Asker,
  {
    work = () => passwords.hash(PASSWORD),
    name = (index) => `${asker} ${index}`,
  }: { work?: () => Promise<unknown>; name?: (index: number) => string } = {},
) {
  const outcomes: Promise<unknown>[] = []
  while (outcomes.length < 20_000) {
    const start = performance.now()
    const outcome = passwords.admit(asker, name(outcomes.length), work).catch((error) => error)
    const first = await Promise.race([outcome, new Promise((next) => setImmediate(next))])
    if (first instanceof Problem)
      return { outcomes, refused: first, answeredAfter: performance.now() - start }
    outcomes.push(outcome)
  }
  throw new Error('nobody was refused')
}

t.test('whose work would have to wait too long is told so at once, and nobody for ever', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 4_096, concurrency: 1 })
  const { outcomes, refused, answeredAfter } = await fill(passwords, 'stranger')
  t.match(refused, { code: 'overloaded', kind: { status: 503 }, headers: { 'retry-after': '1' } })
  t.ok(answeredAfter < 400, `after ${answeredAfter} ms`)
  t.ok(outcomes.length > 2, 'some could wait')
  t.throws(passwords.requireRoom, { code: 'overloaded' }, 'which could be known before')
  t.ok(passwords.load.refused >= 2)

  const done = await Promise.all(outcomes)
  t.ok(
    done.every((hash) => /^\$argon2id/.test(String(hash)) || (hash as Problem).code === 'overloaded'),
    'of those who were let in each got a hash, or heard that it takes too long after all',
  )
  t.doesNotThrow(passwords.requireRoom, 'the load gone, there is room')
  t.match(await passwords.admit('stranger', 'late', () => passwords.hash(PASSWORD)), /^\$argon2id/)
})

t.test('strangers leave room for bearers, and bearers for strangers', async (t) => {
  for (const [first, second] of [
    ['stranger', 'bearer'],
    ['bearer', 'stranger'],
  ] as const) {
    const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 4_096, concurrency: 1 })
    const [many, others] = [await fill(passwords, first), await fill(passwords, second)]
    t.ok(others.outcomes.length > 0, `${many.outcomes.length} of ${first}, ${others.outcomes.length}`)
    await Promise.all([...many.outcomes, ...others.outcomes])
  }
})

t.test('nobody fills the room alone', async (t) => {
  for (const asker of ['stranger', 'bearer'] as const) {
    const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 4_096, concurrency: 1 })
    const greedy = await fill(passwords, asker, { name: () => 'greedy' })
    t.match(greedy.refused, { code: 'overloaded' })
    t.equal(await passwords.admit(asker, 'other', async () => 'room'), 'room')
    const others = await fill(passwords, asker)
    t.ok(
      others.outcomes.length > greedy.outcomes.length,
      `${greedy.outcomes.length} and ${others.outcomes.length}`,
    )
    await Promise.all([...greedy.outcomes, ...others.outcomes])
    t.equal(await passwords.admit(asker, 'greedy', async () => 'room'), 'room', 'and then it may again')
  }
})

t.test('work that is let in has its room until it ends, however it does', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, memoryKib: 65_536, passes: 3, concurrency: 1 })
  const ends: (() => void)[] = []
  // It doesn't hash yet: it may wait for the database.
  const work = () => new Promise((_, fail) => ends.push(() => fail(new Error('broken'))))
  const { outcomes: held } = await fill(passwords, 'bearer', { work })
  t.ok(held.length > 0 && held.length < 1_000, `${held.length} were let in`)
  for (const end of ends) end()
  t.strictSame(
    new Set((await Promise.all(held)).map((error) => (error as Error).message)),
    new Set(['broken']),
  )
  t.equal(await passwords.admit('stranger', 'late', async () => 'room again'), 'room again')
})

t.test('a hash whose turn comes too late is not made any more', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency: 1 })
  const slow = await slowHash(500)
  const start = performance.now()
  // Together they would take many times as long as anybody waits.
  const queued = Array.from({ length: 20 }, () => passwords.verify(slow, PASSWORD).catch((error) => error))
  await t.rejects(passwords.hash(PASSWORD), { code: 'overloaded' })
  t.ok(performance.now() - start > 900, 'its turn came too late')
  const outcomes = await Promise.all(queued)
  const made = outcomes.findIndex((outcome) => outcome !== false)
  t.ok(made > 0, `${made} came in time`)
  t.match(outcomes.slice(made), Array(20 - made).fill({ code: 'overloaded' }))
  t.equal(passwords.load.refused, 20 - made + 1)
  t.match(await passwords.hash(PASSWORD), /^\$argon2id/)
})

t.test('who measures is told of each hash: its wait and its work', async (t) => {
  const told: Hashing[] = []
  const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency: 1 }, (hashing) =>
    told.push(hashing),
  )
  const slow = passwords.verify(await slowHash(300), PASSWORD)
  const quick = passwords.hash(PASSWORD)
  t.match(passwords.load, { running: 1, concurrency: 1, waiting: 1, refused: 0 })
  await Promise.all([slow, quick])
  t.match(passwords.load, { running: 0, waiting: 0 })
  const [first, second] = told as [Hashing, Hashing]
  t.match([first.operation, second.operation, told.length], ['verify', 'hash', 2])
  t.ok(first.worked > first.waited, 'the first one worked')
  t.ok(second.waited > second.worked, 'the second one waited')
})

t.test('a hash that can not be read is an error, and the queue goes on', async (t) => {
  const passwords = await createPasswords({ ...CHEAP_ARGON2, concurrency: 1 })
  await t.rejects(passwords.verify('$argon2id$v=19$broken', PASSWORD), Error)
  t.match(await passwords.hash(PASSWORD), /^\$argon2id/)
})

t.test('parameters that argon2 can not work with are found at once', async (t) => {
  await t.rejects(createPasswords({ ...CHEAP_ARGON2, memoryKib: 1 }))
})
