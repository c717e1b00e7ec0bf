import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { poll } from './poll.ts'
import { emptyFolder } from './process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const CLI = join(root, 'src', 'cli.ts')

/** Lines of commands that no test runs, and why. Everything else in README.md and docs/ is run. */
export const notRun: readonly { readonly page: string; readonly line: string; readonly why: string }[] = [
  { page: 'README.md', line: 'npm test', why: 'it is what runs the others' },
  { page: 'docs/postgresql.md', line: 'docker compose up --build', why: 'it needs Docker' },
]

/** A block of code as a page prints it. */
export interface Block {
  readonly page: string
  /** The heading (##) that it stands under. */
  readonly section: string
  readonly kind: string
  readonly text: string
}

/** The pages with commands, by their paths. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8')
}

const blocksByPage = new Map<string, readonly Block[]>()

/** @returns the blocks of code of a page, in order; the same ones every time */
export function blocksOf(page: string): readonly Block[] {
  const blocks = blocksByPage.get(page) ?? parseBlocks(page)
  blocksByPage.set(page, blocks)
  return blocks
}

function parseBlocks(page: string): Block[] {
  const parts = readPage(page).matchAll(/^## (?<title>[^\n]*)$|^```(?<kind>\w*)\n(?<text>.*?)^```$/gms)
  let section = ''
  const blocks: Block[] = []
  for (const { groups: { title, kind = '', text = '' } = {} } of parts) {
    if (title === undefined) blocks.push({ page, section, kind, text })
    else section = title
  }
  return blocks
}

const wasRun = new Set<Block>()

// What of a block is run.
function linesOf(block: Block): string {
  const left = notRun.filter(({ page }) => page === block.page).map(({ line }) => line)
  return block.text
    .split('\n')
    .filter((line) => !left.includes(line))
    .join('\n')
}

/**
 * Tests a page of the documentation by its sections, and that all of its commands have been run thereby.
 *
 * @param sections by the heading: a test that is given the blocks of the section
 */
export function testPage(
  t: Test,
  page: string,
  sections: Readonly<Record<string, (t: Test, blocks: readonly Block[]) => Promise<void>>>,
): void {
  const all = blocksOf(page)
  for (const [title, test] of Object.entries(sections)) {
    const blocks = all.filter(({ section }) => section === title)
    if (blocks.length === 0) throw new Error(`${page} has no code under ${title}`)
    t.test(title, async (t) => test(t, blocks))
  }
  t.test('every command of the page was run', async (t) => {
    const left = all.filter(
      (block) => block.kind === 'sh' && linesOf(block).trim() !== '' && !wasRun.has(block),
    )
    t.strictSame(left, [])
  })
}

/** What commands run in. */
export interface Surroundings {
  readonly folder: string
  /** Lines that go before, and whose answers aren't looked at. */
  readonly before?: string | undefined
  /** What stands in the place of what is printed. */
  readonly replaced?: Readonly<Record<string, string>> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
}

/**
 * Runs the commands of blocks as one script, and holds its answers against those that are printed.
 *
 * @returns everything that it printed
 */
export async function run(t: Test, blocks: readonly Block[], surroundings: Surroundings): Promise<string> {
  const shown = blocks.filter(({ kind }) => kind === 'sh' || kind === 'json')
  const lines = shown.map((block) => (block.kind === 'sh' ? linesOf(block) : 'echo; echo ---answer---\n'))
  const script = scriptOf(t, `echo ---begin---\n${lines.join('')}`, surroundings)
  const { stdout, stderr, status } = await new Promise<Output>((resolve) => {
    execFile('bash', ['-eu', script.file], script.options, (error, stdout, stderr) =>
      resolve({ stdout: String(stdout), stderr: String(stderr), status: error === null ? 0 : error.code }),
    )
  })
  t.equal(status, 0, stderr)
  for (const block of shown) wasRun.add(block)

  const answers = (stdout.split('---begin---\n')[1] ?? '').split('---answer---\n').slice(0, -1)
  const printed = shown.filter(({ kind }) => kind === 'json').map(({ text }) => text)
  t.same(answers.map(lastLine).map(masked), printed.map(masked))
  return stdout
}

interface Output {
  readonly stdout: string
  readonly stderr: string
  readonly status: number | string | null | undefined
}

/**
 * Runs the commands of a block of which the last one stays, such as a server. It ends with the test.
 *
 * @param isUp what it has printed once it is up, or whatever tells that
 */
export async function start(
  t: Test,
  block: Block,
  surroundings: Surroundings,
  isUp: (printed: string) => unknown,
): Promise<ChildProcess> {
  const { file, options } = scriptOf(t, linesOf(block), surroundings)
  // A group of its own, for it is a shell that has the server as its child.
  const child = spawn('bash', ['-eu', file], { ...options, detached: true })
  t.teardown(() => {
    try {
      process.kill(-Number(child.pid), 'SIGKILL')
    } catch (error) {
      // Nobody of it is left.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  })
  let printed = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      printed += chunk
    })
  }
  const up = async () => {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${printed}`)
    return isUp(printed)
  }
  await poll(`this to be up: ${block.text}`, up, 60_000)
  wasRun.add(block)
  return child
}

function scriptOf(t: Test, lines: string, { folder, before = '', replaced = {}, env = {} }: Surroundings) {
  const text = `${npm}\n${replacedIn(`${before}\n${lines}`, replaced)}`
  const own = emptyFolder(t)
  // The page's `node` is whichever there is.
  mkdirSync(join(own, 'bin'))
  symlinkSync(process.execPath, join(own, 'bin', 'node'))
  const file = join(own, 'lines.sh')
  writeFileSync(file, text)
  const PATH = `${join(own, 'bin')}:${process.env.PATH}`
  const options = {
    cwd: folder,
    env: { HOME: process.env.HOME, PATH, ...env },
    encoding: 'utf8',
  }
  return { file, options } as const
}

// The command line without npm around it, which takes longer than what it does. What `npm ci` brings is there, for this
// runs on it; and what is installed comes from there, not from a registry. Everything else is npm's.
const npm = `
npm() {
  case "$*" in
    ci) ;;
    'run -s latchkey -- '*) shift 4; node '${CLI}' "$@" ;;
    'install '*) shift; mkdir -p node_modules; for package; do put "$package"; done ;;
    *) env -u NODE_OPTIONS npm "$@" ;;
  esac
}
# Where the machine has much else to do: what is refused for that (503) is asked again.
curl() { command curl --retry 20 --retry-delay 1 "$@"; }
put() {
  case "$1" in
    *.tgz)
      mkdir node_modules/latchkey
      tar xzf "$1" -C node_modules/latchkey --strip-components 1
      ln -s '${root}node_modules' node_modules/latchkey ;;
    *) ln -s "${root}node_modules/$1" node_modules ;;
  esac
}`

/**
 * Writes the files that blocks are, by the names that their first lines say.
 *
 * @param replaced what stands in the place of what is printed
 */
export function writeFiles(
  folder: string,
  blocks: readonly Block[],
  replaced: Readonly<Record<string, string>> = {},
): void {
  for (const { text } of blocks) {
    const name = /^(?:\/\/|<!--) (\S+\.\w+)/.exec(text)?.[1]
    if (name !== undefined) writeFileSync(join(folder, name), replacedIn(text, replaced))
  }
}

function replacedIn(text: string, replaced: Readonly<Record<string, string>>): string {
  return Object.entries(replaced).reduce((text, [printed, real]) => text.replaceAll(printed, real), text)
}

/** A folder as `git clone` and `npm ci` leave it, as far as commands on pages need it. */
export function clone(t: Test): string {
  const folder = join(emptyFolder(t), 'latchkey')
  const parts = ['.npmrc', 'LICENSE', 'README.md', 'openapi.yaml', 'package.json', 'src', 'test/vectors']
  for (const part of [...parts, 'tsconfig.json', 'tsconfig.build.json']) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

/** The commands of a section, as lines to go before those of another. */
export function commandsOf(page: string, title: string): string {
  const shown = blocksOf(page).filter(({ section, kind }) => section === title && kind === 'sh')
  return shown.map(({ text }) => text).join('')
}

/** Commands that leave Ada signed in, as the first section of README.md does. */
export const signedIn = commandsOf('README.md', 'From sign-up to signed out').split(
  'curl -s http',
)[0] as string

// What was answered last before it was looked at: lines before it are of commands that print nothing but for people.
function lastLine(answer: string): string {
  return answer.trim().split('\n').at(-1) ?? ''
}

// What differs from run to run, by its kind.
function masked(answer: string): unknown {
  return JSON.parse(
    answer
      .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, '<access token>')
      .replace(/lkr_[\w-]+/g, '<refresh token>')
      .replace(/[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}/g, '<id>')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
      .replace(/"(iat|exp|age)":[\d.]+/g, '"$1":0')
      .replace(/"[\w-]{16}"/g, '"<kid>"')
      .replace(/curl\/[\d.]+/g, '<curl>'),
  )
}
