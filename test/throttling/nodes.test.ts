import t, { type Test } from 'tap'
import { createAttemptStore } from '../../src/throttling/store.ts'
import { failAt, logIn, PROXIED, statuses, stranger, WRONG } from '../helpers/attempts.ts'
import { emptyDatabase, openAsNode } from '../helpers/nodes.ts'
import { signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import {
  createService,
  type DatabaseName,
  databases,
  type TestService,
  testClock,
} from '../helpers/service.ts'

const SECOND = 1_000
const [HOME, NEW] = ['192.0.2.1', '192.0.2.2']

/** Nodes that share a database and a clock. */
async function nodes(
  t: Test,
  kind: DatabaseName,
  env: Record<string, string> = {},
): Promise<[TestService, TestService]> {
  const url = await emptyDatabase(t, kind)
  const clock = testClock()
  const node = async () =>
    createService(t, { database: await openAsNode(t, url), env: { ...PROXIED, ...env }, clock })
  return [await node(), await node()]
}

for (const kind of databases) {
  t.test(`what fails on one node is counted on the other, on ${kind}`, async (t) => {
    const [one, other] = await nodes(t, kind)
    const { email } = await one.signUp()
    await failAt(one, email, 3)
    await failAt(other, email, 2)
    isProblem(t, await logIn(one, email, { from: NEW }), 'too_many_attempts')
    isProblem(t, await logIn(other, email, { from: NEW }), 'too_many_attempts')
    one.clock.advance(SECOND)
    t.equal((await logIn(other, email, { from: NEW })).statusCode, 200)
    await failAt(other, email, 5)
    t.equal((await logIn(one, email, { from: NEW })).statusCode, 200, 'an address is familiar to both')
  })

  t.test(`an address may fail as often on two nodes as on one, on ${kind}`, async (t) => {
    const [one, other] = await nodes(t, kind, { ATTEMPTS_PER_ADDRESS: '20' })
    const replies = []
    for (let index = 0; index < 50; index++) {
      const node = index % 2 === 0 ? one : other
      replies.push(await logIn(node, `nobody${index}@example.com`, { password: WRONG, from: NEW }))
    }
    t.strictSame(statuses(replies), { 401: 20, 429: 30 })
  })

  t.test(`of many attempts at once five a node are tried, and then one a step, on ${kind}`, async (t) => {
    const both = await nodes(t, kind)
    const { email } = await both[0].signUp()
    const attack = () =>
      Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          logIn(both[index % 2] as TestService, email, { password: WRONG, from: stranger(index) }),
        ),
      )
    const { 401: free = 0, 429: held = 0 } = statuses(await attack())
    t.ok(free >= 5 && free <= 10, `${free} were tried`)
    t.equal(free + held, 20)
    for (const failures of [free, free + 1, free + 2]) {
      both[0].clock.advance(2 ** (failures - 5) * SECOND)
      t.strictSame(statuses(await attack()), { 401: 1, 429: 19 })
    }
  })

  t.test(`logins beside each other on two nodes all succeed, on ${kind}`, async (t) => {
    const both = await nodes(t, kind)
    const { email } = await both[0].signUp()
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, index) => logIn(both[index % 2] as TestService, email, { from: HOME })),
    )
    const { 200: opened = 0, 503: overloaded = 0 } = statuses(replies)
    t.equal(opened + overloaded, 20)
    t.ok(opened >= 5)
  })

  t.test(`failing, succeeding, being reset and being swept at once is no deadlock, on ${kind}`, async (t) => {
    const both = await nodes(t, kind)
    const [one] = both
    const { accessToken: token } = await signUpAdmin(one)
    const { email, accountId } = await one.signUp()
    await logIn(one, email, { from: HOME })
    const work = Array.from({ length: 12 }, (_, index) => {
      const node = both[index % 2] as TestService
      return [
        logIn(node, email, { password: WRONG, from: HOME }),
        logIn(node, email, { from: HOME }),
        logIn(node, email, { from: stranger(index) }),
        logIn(node, email, { password: WRONG, from: stranger(index) }),
        node.send('DELETE', `/admin/accounts/${accountId}/attempts`, { token }),
        createAttemptStore(node.database.db).sweep(node.clock()),
      ]
    })
    for (const result of await Promise.all(work.flat())) {
      if ('statusCode' in result) t.match(String(result.statusCode), /^(200|204|401|429|503)$/)
    }
    const lines = both.flatMap(({ log }) => log)
    t.notMatch(lines.join(''), /deadlock|40P01|internal_error/)
  })
}
