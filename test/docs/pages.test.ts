import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { blocksOf, notRun, pages, readPage } from '../helpers/pages.ts'

const tests = fileURLToPath(new URL('..', import.meta.url))

// Commands are run, answers compared, code compiled; http is for people to look at.
const kinds = ['sh', 'json', 'js', 'ts', 'tsx', 'html', 'http']

t.test('every page with commands has a test that runs them', async (t) => {
  const names = ['.', 'docs', 'browser'].flatMap((folder) =>
    readdirSync(join(tests, folder))
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(tests, folder, name)),
  )
  const texts = names.map((name) => readFileSync(name, 'utf8'))
  for (const page of pages) {
    if (!blocksOf(page).some(({ kind }) => kind === 'sh')) continue
    const isTested = (text: string) =>
      text.includes(`testPage(t, '${page}'`) ||
      (text.includes('testPage(t, PAGE') && text.includes(`const PAGE = '${page}'`))
    t.equal(texts.filter(isTested).length, 1, page)
  }
})

t.test('every block is of a kind that something looks at, and stands where it is seen', async (t) => {
  for (const page of pages) {
    const blocks = blocksOf(page)
    for (const { kind, section } of blocks) t.ok(kinds.includes(kind), `${page}, ${section}: ${kind}`)
    t.equal(readPage(page).match(/```/g)?.length ?? 0, 2 * blocks.length, `${page} has no other block`)
  }
})

t.test('a command that is not run is there, and has a reason', async (t) => {
  for (const { page, line, why } of notRun) {
    t.ok(
      blocksOf(page).some(({ kind, text }) => kind === 'sh' && text.split('\n').includes(line)),
      `${page}: ${line}`,
    )
    t.match(why, /\w/)
  }
})
