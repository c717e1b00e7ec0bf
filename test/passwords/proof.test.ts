import t from 'tap'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { withPassword } from '../../src/passwords/proof.ts'
import { CHEAP_ARGON2 } from '../helpers/service.ts'

const passwords = await createPasswords(CHEAP_ARGON2)
const [RIGHT, NEWER] = ['a long walk by the river', 'a short ride over the hill']
const account = { id: 'ada', passwordHash: await passwords.hash(RIGHT) }

const unexpected = async () => {
  t.fail('it was refused')
}

t.test('with the right password it is done, once', async (t) => {
  let done = 0
  const result = await withPassword(
    passwords,
    RIGHT,
    async () => account,
    async ({ id }) => {
      done++
      return `done for ${id}`
    },
    unexpected,
  )
  t.equal(result, 'done for ada')
  t.equal(done, 1)
})

t.test('with a wrong password, or none to have it, nothing is done', async (t) => {
  const refused: unknown[] = []
  const onRefused = async (account: unknown) => {
    refused.push(account)
  }
  for (const found of [account, undefined]) {
    const act = async () => t.fail('it was done')
    const find = async () => found
    await t.rejects(withPassword(passwords, NEWER, find, act, onRefused), { code: 'invalid_credentials' })
  }
  const none = withPassword(
    passwords,
    RIGHT,
    async () => undefined,
    async () => t.fail('it was done'),
    onRefused,
  )
  await t.rejects(none, { code: 'invalid_credentials' })
  t.strictSame(refused, [account, undefined, undefined], 'and it is told of whom')
})

t.test('a result that is false or empty is one', async (t) => {
  for (const value of [false, null, 0, '']) {
    t.equal(
      await withPassword(
        passwords,
        RIGHT,
        async () => account,
        async () => value,
        unexpected,
      ),
      value,
    )
  }
})

t.test('where the account changed meanwhile, everything is looked at again', async (t) => {
  const rehashed = { ...account, passwordHash: await passwords.hash(RIGHT) }
  const states = [account, rehashed]
  const seen: string[] = []
  const result = await withPassword(
    passwords,
    RIGHT,
    async () => states.shift(),
    async ({ passwordHash }) => {
      seen.push(passwordHash)
      return passwordHash === rehashed.passwordHash ? 'done' : undefined
    },
    unexpected,
  )
  t.equal(result, 'done')
  t.strictSame(seen, [account.passwordHash, rehashed.passwordHash])
})

t.test('where the password itself was changed meanwhile, the old one no longer does', async (t) => {
  const states = [account, { ...account, passwordHash: await passwords.hash(NEWER) }]
  let asked = 0
  let refusals = 0
  const outcome = withPassword(
    passwords,
    RIGHT,
    async () => states.shift(),
    async () => {
      asked++
      return undefined
    },
    async () => {
      refusals++
    },
  )
  await t.rejects(outcome, { code: 'invalid_credentials' })
  t.equal(asked, 1)
  t.equal(refusals, 1)
})

t.test('an account that never stands still is given up after three times', async (t) => {
  let asked = 0
  let refusals = 0
  const act = async () => {
    asked++
    return undefined
  }
  await t.rejects(
    withPassword(
      passwords,
      RIGHT,
      async () => account,
      act,
      async () => {
        refusals++
      },
    ),
    { code: 'invalid_credentials' },
  )
  t.equal(asked, 3)
  t.equal(refusals, 1)
})

t.test('what goes wrong in the doing is told as it is', async (t) => {
  const act = async () => {
    throw new Error('the database is gone')
  }
  await t.rejects(
    withPassword(passwords, RIGHT, async () => account, act, unexpected),
    { message: 'the database is gone' },
  )
})

t.test('where the refusal cannot be written, it is not told either', async (t) => {
  const lost = async () => {
    throw new Error('the database is gone')
  }
  await t.rejects(
    withPassword(
      passwords,
      NEWER,
      async () => account,
      async () => 'done',
      lost,
    ),
    { message: 'the database is gone' },
  )
})
