import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createTokenMemory } from '../../src/tokens/token-memory.ts'
import { goodClaims } from '../helpers/hand-made-tokens.ts'

const claims = (sub: string, sid: string) => ({ ...goodClaims(Date.now()), sub, sid })

t.test('a token is found by its exact text until its session or its account is forgotten', async (t) => {
  const memory = createTokenMemory()
  const ada = claims('ada', 'a')
  memory.add('one', ada)
  memory.add('two', claims('ada', 'a'))
  memory.add('three', claims('ada', 'b'))
  memory.add('four', claims('eve', 'e'))
  t.equal(memory.find('one'), ada)
  t.equal(memory.find('One'), undefined)

  memory.forget('a')
  t.strictSame([memory.find('one'), memory.find('two')], [undefined, undefined])
  t.ok(memory.find('three'))
  memory.forget('ada')
  t.equal(memory.find('three'), undefined)
  memory.forget('nobody')
  t.ok(memory.find('four'))
  memory.clear()
  t.equal(memory.find('four'), undefined)
})

t.test('an id that is account and session at once is no trouble', async (t) => {
  const memory = createTokenMemory()
  memory.add('one', claims('same', 'same'))
  memory.add('one', claims('same', 'same'))
  memory.forget('same')
  t.equal(memory.find('one'), undefined)
})

t.test('it holds the last used ones, and what it lets go can be forgotten all the same', async (t) => {
  const memory = createTokenMemory(2)
  memory.add('one', claims('ada', 'a'))
  memory.add('two', claims('ada', 'b'))
  memory.find('one')
  memory.add('three', claims('ada', 'c'))
  t.ok(memory.find('two'), "what comes once takes nobody's place")
  memory.find('one')
  memory.add('three', claims('ada', 'c'))
  t.ok(memory.find('three'), 'but what comes again does')
  t.equal(memory.find('two'), undefined, 'that of the one that was used least lately')
  t.ok(memory.find('one'))
  memory.forget('ada')
  t.strictSame([memory.find('one'), memory.find('three')], [undefined, undefined])
})

t.test('after many came and went no more is forgotten than was asked for', async (t) => {
  const memory = createTokenMemory(100)
  const all = Array.from({ length: 5_000 }, () => ({
    token: randomUUID(),
    sub: randomUUID(),
    sid: randomUUID(),
  }))
  for (const { token, sub, sid } of all) {
    for (const _time of ['once', 'again']) memory.add(token, claims(sub, sid))
  }
  for (const { sid } of all.slice(0, -50)) memory.forget(sid)
  t.equal(all.filter(({ token }) => memory.find(token) !== undefined).length, 50)
})
