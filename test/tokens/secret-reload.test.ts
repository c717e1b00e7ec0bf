import { renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { rotate, type Step } from '../../src/tokens/rotation.ts'
import { followSecretFile } from '../../src/tokens/secret-reload.ts'
import { generateSecret, kidOf, parseSecrets } from '../../src/tokens/secrets.ts'
import { poll } from '../helpers/poll.ts'
import { testClock } from '../helpers/service.ts'

const TOKEN_LIFE = 605
const NEVER = 2 ** 31 - 1

const [A, B, C] = [generateSecret(), generateSecret(), generateSecret()]
const kidsOf = (text: string) => parseSecrets(text).map(kidOf)

/** A keyring of the secrets in a file, which is followed; a node looks at it only when asked, unless told otherwise. */
async function follow(t: Test, text: string, { interval = NEVER, level = 'info' } = {}) {
  const path = join(t.testdir(), 'secret')
  writeFileSync(path, text)
  const keyring = await createKeyring(parseSecrets(text), { issuer: 'issuer', audience: 'audience' })
  const clock = testClock()
  let looks = 0
  const counted = () => {
    looks++
    return clock()
  }
  const lines: string[] = []
  const log = pino({ level }, { write: (line: string) => lines.push(line) })
  const reload = followSecretFile({ path, keyring, tokenLife: TOKEN_LIFE, log, clock: counted, interval })
  return {
    path,
    keyring,
    clock,
    reload,
    /** How often it was asked for how long a secret has not signed. */
    looks: () => looks,
    /** Everything that was logged, as it was written. */
    lines,
    last: () => JSON.parse(lines.at(-1) ?? '{}'),
    /** Writes the file as an editor does, and looks at it. */
    async put(content: string) {
      writeFileSync(path, content)
      await reload()
    },
  }
}

t.test('what the file says is put into force, and told with the kids before and after', async (t) => {
  const { put, keyring, last, path } = await follow(t, A)
  await put(`${A},${B}\n`)
  t.strictSame(keyring.kids, kidsOf(`${A},${B}`))
  const { level, time, pid, hostname, ...line } = last()
  t.equal(level, 30)
  t.strictSame(line, {
    event: 'secrets_reloaded',
    path,
    kids_before: kidsOf(A),
    kids: kidsOf(`${A},${B}`),
    msg: 'secrets_reloaded',
  })
  await put(`${B},${A}`)
  t.strictSame(keyring.kids, kidsOf(`${B},${A}`))
})

t.test('who asks is answered, even where nothing has changed, and whatever LOG_LEVEL says', async (t) => {
  const { reload, lines, last } = await follow(t, A, { level: 'fatal' })
  await reload()
  await reload()
  t.equal(lines.length, 2)
  t.match(last(), { level: 30, event: 'secrets_unchanged', kids: kidsOf(A) })
})

t.test(
  'what can not be used is refused by its fault, the secrets stay, and nothing of it is told',
  async (t) => {
    const { put, keyring, last, lines, generation } = await follow(t, `${A},${B}`).then((node) => ({
      ...node,
      generation: node.keyring.generation,
    }))
    const canary = 'canary'
    const faults = {
      '': 'needs at least 32 bytes in each secret',
      '\n': 'needs at least 32 bytes in each secret',
      [canary]: 'needs at least 32 bytes in each secret',
      [`${A},${canary}`]: 'needs at least 32 bytes in each secret',
      [`${A},`]: 'needs at least 32 bytes in each secret',
      [`${A},${B},${A}`]: 'lists the same secret twice',
      [`base64:${canary}!${A}`]: 'is not valid base64',
      [`${canary.repeat(10)}`]: 'has too little variety: make one with `latchkey secret`',
      [`-----BEGIN PUBLIC KEY----- ${canary}`]: 'is a key file (PEM, SSH or JWK): HS256 needs random bytes',
    }
    for (const [content, reason] of Object.entries(faults)) {
      await put(content)
      t.match(last(), { level: 50, event: 'secrets_refused', reason, kids: kidsOf(`${A},${B}`) }, content)
    }
    t.strictSame(keyring.kids, kidsOf(`${A},${B}`))
    t.equal(keyring.generation, generation, 'nothing was replaced')
    for (const told of [canary, A, B]) t.notOk(lines.join('').includes(told))
  },
)

t.test('a file that can not be read is refused by the code, and read once it is back', async (t) => {
  const { path, reload, keyring, last, put } = await follow(t, A)
  rmSync(path)
  await reload()
  t.match(last(), { level: 50, event: 'secrets_refused', reason: "can't be read (ENOENT)" })
  t.strictSame(keyring.kids, kidsOf(A))
  await put(`${A},${B}`)
  t.strictSame(keyring.kids, kidsOf(`${A},${B}`))
})

t.test('a secret that signs is not dropped, however long one waits', async (t) => {
  const { put, reload, keyring, last, clock } = await follow(t, A)
  for (const text of [B, `${B},${C}`]) {
    await put(text)
    const reason = 'drops a secret whose tokens may be let in for 605 s after it last signs'
    t.match(last(), { level: 50, event: 'secrets_refused', seconds_left: 605, reason })
  }
  clock.advance(TOKEN_LIFE * 2_000)
  await reload()
  t.match(last(), { event: 'secrets_refused', seconds_left: 605 })
  t.strictSame(keyring.kids, kidsOf(A))
})

t.test(
  'a secret that has signed is dropped once its tokens are dead, and not a moment earlier',
  async (t) => {
    const { put, reload, keyring, last, clock } = await follow(t, `${A},${B}`)
    await put(`${B},${A}`)
    clock.advance(5_000)
    await put(B)
    const reason = 'drops a secret whose tokens may be let in for 600 s more'
    t.match(last(), { level: 50, event: 'secrets_refused', seconds_left: 600, reason })
    clock.advance(599_999)
    await reload()
    t.match(last(), { event: 'secrets_refused', seconds_left: 1 })
    t.strictSame(keyring.kids, kidsOf(`${B},${A}`))
    clock.advance(1)
    await reload()
    t.match(last(), { event: 'secrets_reloaded', kids: kidsOf(B) })
    t.strictSame(keyring.kids, kidsOf(B))
  },
)

t.test('who went back to the old secret can drop the new one only once its tokens are dead', async (t) => {
  const { put, keyring, last, clock } = await follow(t, `${A},${B}`)
  await put(`${B},${A}`)
  clock.advance(100_000)
  await put(`${A},${B}`)
  clock.advance(100_000)
  await put(`${A},${B},${C}`)
  await put(`${A},${C}`)
  t.match(last(), { event: 'secrets_refused', seconds_left: 505 }, 'from when it last signed')
  clock.advance(505_000)
  await put(`${A},${C}`)
  t.strictSame(keyring.kids, kidsOf(`${A},${C}`))
  await put(A)
  t.strictSame(keyring.kids, kidsOf(A), 'one that has never signed here goes at once')
})

t.test('what the file says is meant is done at once, for the secrets it names and no others', async (t) => {
  const parts = { now: 0, propagation: 60, tokenLife: 610, atOnce: true }
  const step = (name: Step, text: string) => rotate(name, text, { ...parts, newSecret: B }).text
  const promoted = step('promote', step('next', A))
  const retired = step('retire', promoted)
  const { put, keyring, last } = await follow(t, A)
  await put(retired)
  t.match(last(), { event: 'secrets_reloaded' }, 'the signing one, of which only the end was seen')
  t.strictSame(keyring.kids, kidsOf(B))

  await put(retired.replace(B, C))
  t.match(last(), { event: 'secrets_refused', seconds_left: 605 }, 'a note about another secret')
  t.strictSame(keyring.kids, kidsOf(B))
})

t.test('the file is looked at by itself, however it was changed', async (t) => {
  const { path, keyring, lines } = await follow(t, A, { interval: 10 })
  const holds = (text: string) =>
    poll(`the kids of ${kidsOf(text)}`, () => keyring.kids.join() === kidsOf(text).join())
  writeFileSync(path, `${A},${B}`)
  await holds(`${A},${B}`)

  const folder = join(path, '..')
  writeFileSync(join(folder, 'new'), `${B},${A}`)
  renameSync(join(folder, 'new'), path)
  await holds(`${B},${A}`)

  writeFileSync(join(folder, 'target'), `${B},${A},${C}`)
  symlinkSync('target', join(folder, 'link'))
  renameSync(join(folder, 'link'), path)
  await holds(`${B},${A},${C}`)
  writeFileSync(join(folder, 'other'), `${B},${A}`)
  symlinkSync('other', join(folder, 'link'))
  renameSync(join(folder, 'link'), path)
  await holds(`${B},${A}`)
  t.equal(lines.length, 4, 'each change is told once')
})

t.test('a change between the start and the first look is seen', async (t) => {
  const { path, keyring } = await follow(t, A, { interval: 50 })
  writeFileSync(path, `${A},${B}`)
  await poll('both', () => keyring.kids.length === 2)
  t.strictSame(keyring.kids, kidsOf(`${A},${B}`))
})

t.test('trouble is told once, and its end too; what was too early is taken up by itself', async (t) => {
  const { path, keyring, lines, last, clock, looks } = await follow(t, `${A},${B}`, { interval: 5 })
  const told = (event: string, count: number) =>
    poll(`${count} lines, ${event} the last`, () => lines.length === count && last().event === event)
  writeFileSync(path, 'short')
  await told('secrets_refused', 1)
  rmSync(path)
  await told('secrets_refused', 2)
  writeFileSync(path, `${A},${B}`)
  await told('secrets_unchanged', 3)

  writeFileSync(path, `${B},${A}`)
  await told('secrets_reloaded', 4)
  writeFileSync(path, B)
  await told('secrets_refused', 5)
  const { generation } = keyring
  const before = looks()
  await poll('some looks', () => looks() > before + 5)
  t.equal(lines.length, 5)
  t.equal(keyring.generation, generation)
  clock.advance(TOKEN_LIFE * 1_000)
  await told('secrets_reloaded', 6)
  t.strictSame(keyring.kids, kidsOf(B))
})

t.test('of many who ask at once none brings back what another has replaced', async (t) => {
  const { path, keyring, reload, lines } = await follow(t, A)
  const lists = [`${A},${B}`, `${A},${C}`, `${A},${C},${B}`, `${A},${B},${C}`]
  const asked = Array.from({ length: 40 }, (_, index) => {
    writeFileSync(path, lists[index % lists.length] as string)
    return reload()
  })
  await Promise.all(asked)
  t.strictSame(keyring.kids, kidsOf(lists.at(-1) as string), 'the last word holds')
  t.equal(lines.length, 40, 'and everybody was answered')
  for (const line of lines.slice(1)) t.match(JSON.parse(line), { event: 'secrets_unchanged' })
})
