import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { keepOwnSecret } from '../../src/tokens/own-secret.ts'

const pathIn = (t: Test) => join(t.testdir(), 'data', 'jwt-secret')
const modeOf = (path: string) => statSync(path).mode & 0o777

t.test('a secret is made once, for its owner alone, and kept', async (t) => {
  const path = pathIn(t)
  const first = keepOwnSecret(path)
  t.equal(first.made, true)
  t.equal(first.secrets[0]?.length, 32)
  t.equal(modeOf(path), 0o600)
  t.equal(modeOf(join(path, '..')), 0o700)
  t.strictSame(keepOwnSecret(path), { secrets: first.secrets, made: false })
  t.strictSame(readdirSync(join(path, '..')), ['jwt-secret'], 'nothing else is left')
})

t.test('of processes that start together one makes it, and all have the same', async (t) => {
  const path = pathIn(t)
  const module = new URL('../../src/tokens/own-secret.ts', import.meta.url).href
  const script = `
    const { keepOwnSecret } = await import(${JSON.stringify(module)})
    const { made, secrets } = keepOwnSecret(${JSON.stringify(path)})
    console.log(JSON.stringify({ made, secret: secrets[0].toString('hex') }))`
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script])
      return JSON.parse(await text(child.stdout)) as { made: boolean; secret: string }
    }),
  )
  t.equal(answers.filter(({ made }) => made).length, 1)
  t.equal(new Set(answers.map(({ secret }) => secret)).size, 1)
  t.strictSame(readdirSync(join(path, '..')), ['jwt-secret'])
})

t.test('a file that is there is read, and never written over', async (t) => {
  const path = pathIn(t)
  mkdirSync(join(path, '..'))
  writeFileSync(path, 'too short\n')
  t.throws(() => keepOwnSecret(path), { name: 'SecretFault' })
  t.equal(readFileSync(path, 'utf8'), 'too short\n')
})

t.test('what the file system says against it is told, and no draft is left', async (t) => {
  const folder = t.testdir({ file: 'a file', folder: {} })
  t.throws(() => keepOwnSecret(join(folder, 'file', 'jwt-secret')), { code: /ENOTDIR|EEXIST/ })
  t.throws(() => keepOwnSecret(join(folder, 'folder')), { code: 'EISDIR' })
  // The draft's name is longer than its own, and too long for any file system.
  t.throws(() => keepOwnSecret(join(folder, 'x'.repeat(250))), { code: 'ENAMETOOLONG' })
  t.strictSame(readdirSync(folder).sort(), ['file', 'folder'])
})
