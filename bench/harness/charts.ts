import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { asMeasured, barChart } from './chart.ts'
import { type Line, lineChart } from './line-chart.ts'
import type { KeptResult, Results } from './results.ts'
import type { SuiteResult } from './types.ts'

/** Writes what a suite has drawn itself. */
export async function keepDrawings({ drawings = {} }: Pick<SuiteResult, 'drawings'>): Promise<void> {
  for (const [name, drawing] of Object.entries(drawings)) await write(name, drawing)
}

/** Draws bench/chart.svg from the guarded suite and bench/growth.svg from the growth suite, where they are there. */
export async function keepCharts({ suites }: Results): Promise<void> {
  const guarded = suites.find(({ suite }) => suite === 'guarded')
  if (guarded !== undefined) {
    await write('chart.svg', barChart(guarded, guardedChart(guarded)))
  }
  const growth = suites.find(({ suite }) => suite === 'growth')
  if (growth !== undefined) {
    const title = 'CPU time of an operation as accounts are added'
    const caption = `Relative to the fewest: flat is 1. ${whereOf(growth)}`
    await write('growth.svg', lineChart(accountLines(growth), { title, caption, axis: 'accounts' }))
  }
}

/** How the guarded suite is drawn. */
export function guardedChart(guarded: KeptResult) {
  return {
    title: 'Requests per second on one core: GET /me and what lets it in',
    caption: `More is better; the thin line is the spread of ${guarded.run.rounds} rounds. ${whereOf(guarded)}`,
    ...{ column: 'requests/s', groupBy: 'kind', own: 'Latchkey' },
  }
}

/** The lines of the growth suite that are told of accounts: one for each operation, by its CPU time. */
export function accountLines({ rows }: Pick<KeptResult, 'rows'>): Line[] {
  const points = rows.flatMap(({ name, values }) => {
    const [, count] = /^(\S+) accounts$/.exec(String(values.of)) ?? []
    const value = asMeasured(values['CPU µs each'])
    if (count === undefined || value === undefined) return []
    return [{ name, at: Number(count.replaceAll(',', '')), value: value.median }]
  })
  return [...Map.groupBy(points, ({ name }) => name)].map(([name, list]) => ({ name, points: list }))
}

function whereOf({ run: { date, machine } }: KeptResult): string {
  return `${machine.cpu}, Node.js ${machine.node}, ${date.slice(0, 10)}`
}

async function write(name: string, content: string): Promise<void> {
  const path = fileURLToPath(new URL(`../${name}`, import.meta.url))
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}
