import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { variableNames } from '../src/config.ts'
import { emptyFolder, startServer } from './helpers/process.ts'

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')

const skip = spawnSync('curl', ['--version']).error === undefined ? false : 'there is no curl'

t.test('the lines from sign-up to signed out answer what the page says', { skip }, async (t) => {
  const { url } = await startServer(t)
  const section = /## From sign-up to signed out\n(.*?)\n## /s.exec(readme)?.[1] ?? ''
  const blocks = [...section.matchAll(/```(sh|json)\n(.*?)```/gs)].map(([, kind, text]) => ({
    kind,
    text: text ?? '',
  }))
  const script = blocks.map(({ kind, text }) => (kind === 'sh' ? text : 'echo; echo ---answer---\n')).join('')

  const folder = emptyFolder(t)
  const file = join(folder, 'journey.sh')
  writeFileSync(file, script.replaceAll('http://localhost:3000', url))
  // The page's `node` is whichever there is.
  mkdirSync(join(folder, 'bin'))
  symlinkSync(process.execPath, join(folder, 'bin', 'node'))
  const { stdout, stderr, status } = spawnSync('bash', ['-eu', file], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: `${join(folder, 'bin')}:${process.env.PATH}` },
  })
  t.equal(status, 0, stderr)

  const answers = stdout.split('---answer---\n').slice(0, -1)
  const printed = blocks.filter(({ kind }) => kind === 'json').map(({ text }) => text)
  t.ok(printed.length >= 4, 'the page prints answers')
  t.same(answers.map(masked), printed.map(masked))
})

t.test('the configuration table lists every variable', async (t) => {
  const table = /## Configuration\n(.*?)\n## /s.exec(readme)?.[1] ?? ''
  const listed = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) => [
    ...(cell ?? '').matchAll(/`(\w+)`/g),
  ])
  t.same(listed.map(([, name]) => name).sort(), [...variableNames].sort())
})

// What differs from run to run, by its kind.
function masked(answer: string): unknown {
  return JSON.parse(
    answer
      .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<access token>')
      .replace(/lkr_[\w-]+/g, '<refresh token>')
      .replace(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, '<id>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
      .replace(/"(iat|exp)":\d+/g, '"$1":0')
      .replace(/curl\/[\d.]+/g, '<curl>'),
  )
}
