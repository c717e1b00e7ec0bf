import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { pages } from '../helpers/pages.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const found = [
  '*.md',
  '.github/*.md',
  'docs/*.md',
  'bench/README.md',
  'deploy/**/README.md',
  'examples/*/README.md',
]
const files = found.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()

// Code isn't prose: what looks like a link in it is none.
function proseOf(file: string): string {
  return readFileSync(join(root, file), 'utf8')
    .replace(/^```.*?^```$/gms, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ' '))
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(file: string): string[] {
  const headings = readFileSync(join(root, file), 'utf8')
    .replace(/^```.*?^```$/gms, '')
    .matchAll(/^#+ (.*)$/gm)
  const taken = new Map<string, number>()
  return [...headings].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-')
    const times = taken.get(anchor) ?? 0
    taken.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}

t.test('every link to a file or a heading leads there', async (t) => {
  let count = 0
  for (const file of files) {
    for (const [, target = ''] of proseOf(file).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const full = path === '' ? file : join(dirname(file), path)
      count++
      if (!existsSync(join(root, full))) t.fail(`${file}: ${target}`)
      else if (anchor !== undefined && !anchorsOf(full).includes(anchor)) t.fail(`${file}: ${target}`)
      else if (statSync(join(root, full)).isDirectory()) t.notOk(anchor)
    }
  }
  t.ok(count >= 100, `${count} links in ${files.length} pages`)
})

t.test('every page of docs/ stands in its index, and can be reached from README.md', async (t) => {
  const linked = (file: string) =>
    [...proseOf(file).matchAll(/\]\(([^)#\s]+)/g)].map(([, path = '']) => join(dirname(file), path))
  const guides = pages.filter((page) => page !== 'README.md' && page !== 'docs/README.md')
  t.strictSame(
    guides.filter((page) => !linked('docs/README.md').includes(page)),
    [],
  )
  t.ok(linked('README.md').includes(relative('.', 'docs/README.md')))
})
