import { readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { canPin } from './cores.ts'
import { generator } from './load.ts'
import type { RunOptions, SuiteResult } from './types.ts'

const RESULTS = fileURLToPath(new URL('../results.json', import.meta.url))

/** As biome.json has it. */
const LINE_WIDTH = 110

/** What it was measured on. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly node: string
  readonly generator: string
  /** Whether the server under test had a core of its own. */
  readonly pinned: boolean
}

/** A suite's result, with when, how and where it was found. */
export interface KeptResult extends Omit<SuiteResult, 'drawings'> {
  readonly run: RunOptions & { readonly date: string; readonly machine: Machine }
}

/** What bench/results.json holds. */
export interface Results {
  readonly suites: readonly KeptResult[]
}

/** This machine, as far as a reader needs it. */
export function describeMachine(): Machine {
  const processors = cpus()
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    node: process.version,
    generator,
    pinned: canPin,
  }
}

/** The kept results; none where nothing was kept yet. */
export async function readResults(path = RESULTS): Promise<Results> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { suites: [] }
    throw error
  }
}

/** Keeps what suites found. Those that did not run keep what they had. @returns everything that is kept now */
export async function keepResults(
  found: readonly SuiteResult[],
  options: RunOptions,
  order: readonly string[],
  path = RESULTS,
): Promise<Results> {
  const { rounds, seconds, largest } = options
  const run = { date: new Date().toISOString(), rounds, seconds, largest, machine: describeMachine() }
  const byName = new Map((await readResults(path)).suites.map((each) => [each.suite, each]))
  for (const { drawings: _, ...each } of found) byName.set(each.suite, { run, ...each })
  const suites = order.flatMap((name) => byName.get(name) ?? [])
  await writeFile(path, `${jsonText({ suites })}\n`)
  return { suites }
}

/** JSON as Biome has it: an object over several lines, a list in one where it fits. @param before what stands on its line */
function jsonText(value: unknown, indent = '', before = ''): string {
  if (typeof value === 'number') return String(shortened(value))
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const line = `[${value.map((item) => jsonText(item, inner)).join(', ')}]`
    if (!line.includes('\n') && before.length + line.length < LINE_WIDTH) return line
    return `[\n${value.map((item) => inner + jsonText(item, inner, inner)).join(',\n')}\n${indent}]`
  }
  const members = Object.entries(value).map(([name, member]) => {
    const start = `${inner}${JSON.stringify(name)}: `
    return start + jsonText(member, inner, start)
  })
  return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${indent}}`
}

// Six digits tell all there is to tell. JSON has no NaN.
function shortened(value: number): number | null {
  if (!Number.isFinite(value)) return null
  return Number.isInteger(value) ? value : Number(value.toPrecision(6))
}
