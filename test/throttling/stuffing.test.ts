import t, { type Test } from 'tap'
import { logIn, PROXIED, stranger, WRONG } from '../helpers/attempts.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { createService, type TestService, testClock } from '../helpers/service.ts'

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Two nodes that share PostgreSQL, with what is set where nothing is. */
async function twoNodes(t: Test): Promise<[TestService, TestService]> {
  const url = await emptyDatabase(t, 'postgres')
  const clock = testClock()
  const env = { ...PROXIED, ATTEMPTS_PER_ADDRESS: '20' }
  const node = async () => createService(t, { database: await openAsNode(t, url), env, clock })
  return [await node(), await node()]
}

/**
 * Guesses as fast as it may be done, on both nodes in turn.
 *
 * @param lasts milliseconds
 * @param guess the account and the address of a guess, by its number
 * @returns when each guess was made, in milliseconds from the first; those that were refused are none
 */
async function attack(
  nodes: readonly TestService[],
  lasts: number,
  guess: (number: number) => { email: string; from: string },
): Promise<number[]> {
  const { clock } = nodes[0] as TestService
  const begun = clock()
  const made: number[] = []
  for (let number = 0; clock() - begun < lasts; number++) {
    const { email, from } = guess(number)
    const reply = await logIn(nodes[number % nodes.length] as TestService, email, { password: WRONG, from })
    if (reply.statusCode === 401) made.push(clock() - begun)
    else if (reply.statusCode === 429) clock.advance(Number(reply.headers['retry-after']) * SECOND)
    else throw new Error(`a guess answered ${reply.statusCode}`)
  }
  return made
}

const within = (made: readonly number[], time: number) => made.filter((at) => at < time).length

t.test('one address against many accounts is stopped at its 21st guess of a minute', async (t) => {
  const nodes = await twoNodes(t)
  const accounts = await Promise.all(Array.from({ length: 5 }, () => nodes[0].signUp()))
  const made = await attack(nodes, 10 * MINUTE, (number) => ({
    email: accounts[number % 50]?.email ?? `nobody${number}@example.com`,
    from: '192.0.2.1',
  }))
  for (let minute = 0; minute < 10; minute++) {
    const [from, to] = [minute * MINUTE, (minute + 1) * MINUTE]
    t.equal(made.filter((at) => at >= from && at < to).length, 20)
  }
  t.comment(
    `guesses of one address: ${within(made, MINUTE)} in the first minute, ${made.length} in ten, 1,200 an hour`,
  )
})

t.test(
  'many addresses against one account are stopped at its 6th guess, and at its 100th for a day',
  async (t) => {
    const nodes = await twoNodes(t)
    const { email } = await nodes[0].signUp()
    const made = await attack(nodes, 48 * HOUR, (number) => ({ email, from: stranger(number) }))
    t.equal(within(made, SECOND), 5)
    t.equal(within(made, MINUTE), 10)
    t.equal(within(made, HOUR), 17)
    t.equal(within(made, 24 * HOUR), 100)
    t.equal(made.length, 101)
    t.comment(
      `guesses at one account: ${within(made, SECOND)} at once, ${within(made, MINUTE)} in the first minute, ` +
        `${within(made, HOUR)} in the first hour, ${within(made, 24 * HOUR)} on the first day, 1 a day from then on`,
    )
  },
)
