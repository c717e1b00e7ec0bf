import type { Measured, Ratio, Row, SuiteResult } from './types.ts'

/**
 * A suite's result as text: its table, its ratios against their goals, its notes. What stands behind ± is how far the
 * round that was furthest off was from the median.
 */
export function textOf({ title, columns, rows, ratios, notes }: SuiteResult): string {
  const parts = [
    title,
    table(
      ['', ...columns],
      rows.map((row) => cellsOf(row, columns)),
    ),
  ]
  if (ratios.length > 0)
    parts.push(table(['ratio', 'median', 'lowest to highest', 'goal', ''], ratios.map(ratioCells)))
  if (notes.length > 0) parts.push(notes.map((note) => `- ${note}`).join('\n'))
  return `${parts.join('\n\n')}\n`
}

/** Whether a ratio is what the project wants; undefined where it has no goal. */
export function isMet({ value, goal }: Ratio): boolean | undefined {
  if (goal === undefined) return undefined
  return 'atLeast' in goal ? value.median >= goal.atLeast : value.median <= goal.atMost
}

/** A goal in words. */
export function goalText(goal: NonNullable<Ratio['goal']>): string {
  return 'atLeast' in goal ? `at least ${goal.atLeast}` : `at most ${goal.atMost}`
}

/** A number with three digits that count, or all of them before the point. */
export function numberText(value: number): string {
  const size = Math.abs(value)
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

function cellsOf({ name, values }: Row, columns: readonly string[]): string[] {
  return [name, ...columns.map((column) => cellText(values[column]))]
}

function cellText(value: Measured | number | string | undefined): string {
  if (value === undefined) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number') return numberText(value)
  const { median, lowest, highest } = value
  const spread = Math.max(median - lowest, highest - median) / median
  return lowest === highest ? numberText(median) : `${numberText(median)} ±${Math.ceil(spread * 100)} %`
}

function ratioCells(ratio: Ratio): string[] {
  const { name, value, goal } = ratio
  const verdict = { true: 'met', false: 'MISSED', undefined: '' }[`${isMet(ratio)}`]
  return [name, numberText(value.median), spreadText(value), goal ? goalText(goal) : '', verdict]
}

function spreadText({ lowest, highest }: Measured): string {
  return `${numberText(lowest)} to ${numberText(highest)}`
}

// Words to the left, numbers to the right.
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]?.length ?? 0)))
  const isNumber = head.map((_, n) => rows.some((row) => /^-?\d/.test(row[n] ?? '')))
  const line = (cells: readonly string[]) =>
    widths
      .map((width, n) => (isNumber[n] ? (cells[n] ?? '').padStart(width) : (cells[n] ?? '').padEnd(width)))
      .join('  ')
      .trimEnd()
  return [line(head), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n')
}
