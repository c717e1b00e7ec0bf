import { spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { changeSecretFile } from '../../src/tokens/secret-file.ts'

const write = (content: string) => () => ({ text: content })
const modeOf = (path: string) => statSync(path).mode & 0o777

function fileIn(t: Test, content = 'before'): string {
  const path = join(t.testdir(), 'secret')
  writeFileSync(path, content, { mode: 0o600 })
  return path
}

t.test('the new content is made out of the old one and takes its place, as another file', async (t) => {
  const path = fileIn(t)
  const { ino } = statSync(path)
  const changed = changeSecretFile(path, (old) => ({ text: `${old} and after`, more: 7 }))
  t.strictSame(changed, { text: 'before and after', more: 7 })
  t.equal(readFileSync(path, 'utf8'), 'before and after')
  t.not(statSync(path).ino, ino, 'who has the old one open reads it to its end')
  t.strictSame(readdirSync(join(path, '..')), ['secret'], 'nothing else is left')
})

t.test('mode and owner stay', async (t) => {
  const path = fileIn(t)
  for (const mode of [0o600, 0o440, 0o644]) {
    chmodSync(path, mode)
    changeSecretFile(path, write('after'))
    t.equal(modeOf(path), mode)
  }
  if (process.getuid?.() !== 0) return
  chownSync(path, 4_711, 4_712)
  changeSecretFile(path, write('after'))
  t.match(statSync(path), { uid: 4_711, gid: 4_712 })
})

t.test('nobody else can read the new content while it is made', async (t) => {
  const path = fileIn(t)
  chmodSync(path, 0o644)
  changeSecretFile(path, () => {
    t.equal(modeOf(`${path}.rotating`), 0o600)
    return { text: 'after' }
  })
})

t.test('a link is followed to the end, and stays', async (t) => {
  // As Kubernetes lays out a secret.
  const folder = t.testdir()
  mkdirSync(join(folder, '..2026'))
  writeFileSync(join(folder, '..2026', 'secret'), 'before')
  symlinkSync('..2026', join(folder, '..data'))
  const path = join(folder, 'secret')
  symlinkSync(join('..data', 'secret'), path)
  changeSecretFile(path, write('after'))
  t.equal(readFileSync(path, 'utf8'), 'after')
  t.equal(readlinkSync(path), join('..data', 'secret'))
  t.ok(lstatSync(join(folder, '..2026', 'secret')).isFile())
})

t.test('what fails leaves the file as it was, and nothing beside it', async (t) => {
  const path = fileIn(t)
  const fails = () => {
    throw new Error('no')
  }
  t.throws(() => changeSecretFile(path, fails), { message: 'no' })
  t.equal(readFileSync(path, 'utf8'), 'before')
  t.strictSame(readdirSync(join(path, '..')), ['secret'])

  const folder = join(path, '..')
  t.throws(() => changeSecretFile(join(folder, 'none'), write('after')), { code: 'ENOENT' })
  t.throws(() => changeSecretFile(folder, write('after')), { code: 'EISDIR' })
  t.strictSame(readdirSync(folder), ['secret'])
  renameSync(path, join(folder, 'moved'))
  t.throws(() => changeSecretFile(path, write('after')), { code: 'ENOENT' })
})

t.test('while somebody changes it, nobody else does', async (t) => {
  const path = fileIn(t)
  changeSecretFile(path, () => {
    t.throws(() => changeSecretFile(path, write('theirs')), { code: 'EEXIST', path: `${path}.rotating` })
    return { text: 'ours' }
  })
  t.equal(readFileSync(path, 'utf8'), 'ours')
  changeSecretFile(path, write('theirs'))
  t.equal(readFileSync(path, 'utf8'), 'theirs')
})

t.test('of many processes that change it at once none loses what another wrote', async (t) => {
  const path = fileIn(t, '')
  const module = new URL('../../src/tokens/secret-file.ts', import.meta.url).href
  const script = `
    const { changeSecretFile } = await import(${JSON.stringify(module)})
    let done = 0
    while (done < 25) {
      try {
        changeSecretFile(${JSON.stringify(path)}, (text) => ({ text: text + 'x' }))
        done++
      } catch (error) {
        if (error.code !== 'EEXIST') throw error
      }
    }
    console.log(done)`
  const done = await Promise.all(
    Array.from({ length: 4 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script])
      return text(child.stdout)
    }),
  )
  t.strictSame(done, ['25\n', '25\n', '25\n', '25\n'])
  t.equal(readFileSync(path, 'utf8'), 'x'.repeat(100))
})
