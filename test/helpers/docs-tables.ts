import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { type ProblemCode, problemKinds } from '../../src/problem.ts'

const pathOf = (name: string) => fileURLToPath(new URL(`../../${name}`, import.meta.url))

// What is between them is written here, and what is around them by hand.
const BEGIN = '<!-- `npm run docs:tables` writes this: -->\n'
const END = '<!-- up to here. -->\n'

/** The pages that have a table made of the sources. */
export const tables = { 'docs/errors.md': errorTable, 'docs/api.md': endpointTables } as const

/** A page as it has to be: its own text, with the table as the sources give it. */
export function withTable(page: keyof typeof tables): string {
  const [before, rest] = readFileSync(pathOf(page), 'utf8').split(BEGIN)
  const [, after] = rest?.split(END) ?? []
  if (after === undefined) throw new Error(`${page} has no place for its table`)
  return `${before}${BEGIN}\n${tables[page]()}\n${END}${after}`
}

/** Every code, in the order of the table in src/problem.ts. */
function errorTable(): string {
  const codes = Object.keys(problemKinds) as ProblemCode[]
  const rows = codes.map((code) => {
    const { status, title, when, remedy } = problemKinds[code]
    return [String(status), `\`${code}\``, `*${title}* ${when}`, remedy]
  })
  return tableOf(['status', 'code', 'when', 'what a client does'], rows)
}

interface Operation {
  readonly summary: string
  readonly tags: readonly string[]
  readonly security: readonly object[]
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly examples?: object }>> }>
  >
}

interface OpenApi {
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

/** Every endpoint of openapi.yaml, by its tag. */
function endpointTables(): string {
  const { tags, paths }: OpenApi = parse(readFileSync(pathOf('openapi.yaml'), 'utf8'))
  const endpoints = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  )
  const sections = tags.map(({ name, description }) => {
    const rows = endpoints
      .filter(({ operation }) => operation.tags.includes(name))
      .map(({ method, path, operation }) => [
        `\`${method.toUpperCase()} ${path}\``,
        operation.summary,
        needsOf(operation),
      ])
    return `### ${name}\n\n${description}\n\n${tableOf(['endpoint', 'what it does', 'needs'], rows)}`
  })
  return sections.join('\n')
}

// To log out takes the scope only where other sessions are meant.
const scopes: Readonly<Record<string, string>> = {
  account: 'account',
  admin: 'admin',
  revocations: 'revocations:read',
}

function needsOf({ security, tags, responses }: Operation): string {
  if (security.length === 0) return 'nothing'
  const refusals = responses['403']?.content?.['application/problem+json']?.examples ?? {}
  const scope = scopes[tags[0] as string]
  return 'insufficient_scope' in refusals && scope ? `a token, scope \`${scope}\`` : 'a token'
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('')
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const page of Object.keys(tables) as (keyof typeof tables)[])
    writeFileSync(pathOf(page), withTable(page))
}
