import { shape, svg, text } from './svg.ts'
import { numberText } from './table.ts'
import type { Measured, SuiteResult } from './types.ts'

export interface BarChart {
  readonly title: string
  /** What stands below the title, such as where it was measured. */
  readonly caption: string
  /** Which column the bars show: its values are numbers or measured. */
  readonly column: string
  /** The column by which the rows are grouped. */
  readonly groupBy: string
  /** The group whose bars stand out. */
  readonly own: string
}

const WIDTH = 840
const LEFT = 230
const RIGHT = 110
const TOP = 66
const ROW = 24
const GROUP = 28

/**
 * Horizontal bars, a group after the other in the order in which their first row comes, the longest bar of a group first.
 * A thin line on a bar goes from the lowest to the highest that was measured.
 */
export function barChart({ rows }: Pick<SuiteResult, 'rows'>, chart: BarChart): string {
  const { title, caption, column, groupBy, own } = chart
  const bars = rows.flatMap(({ name, values }) => {
    const value = asMeasured(values[column])
    return value === undefined ? [] : [{ name, value, group: String(values[groupBy] ?? '') }]
  })
  const groups = Map.groupBy(bars, ({ group }) => group)
  const most = Math.max(...bars.map(({ value }) => value.highest))
  const across = (value: number) => (value / most) * (WIDTH - LEFT - RIGHT)

  const shapes = [
    text(title, { x: 16, y: 28, class: 'title' }),
    text(caption, { x: 16, y: 48, class: 'quiet' }),
  ]
  let y = TOP
  for (const [group, members] of groups) {
    shapes.push(text(group, { x: 16, y: y + 18, class: 'group' }))
    y += GROUP
    for (const { name, value } of members.toSorted((one, other) => other.value.median - one.value.median)) {
      const { median, lowest, highest } = value
      const middle = y + ROW / 2
      shapes.push(
        text(name, { x: LEFT - 10, y: middle + 4, 'text-anchor': 'end' }),
        shape('rect', {
          ...{ x: LEFT, y: y + 4, width: Math.max(1, across(median)), height: ROW - 8, rx: 2 },
          class: group === own ? 'bar own' : 'bar',
        }),
        shape('line', {
          ...{ x1: LEFT + across(lowest), x2: LEFT + across(highest), y1: middle, y2: middle },
          class: 'spread',
        }),
        text(numberText(median), { x: LEFT + across(Math.max(median, highest)) + 8, y: middle + 4 }),
      )
      y += ROW
    }
  }
  const description = bars.map(({ name, value }) => `${name}: ${numberText(value.median)}`).join('; ')
  return svg({ width: WIDTH, height: y + 16, title: `${title}. ${caption}`, description, shapes })
}

/** A value of a table as a measurement, if it is one. */
export function asMeasured(value: Measured | number | string | undefined): Measured | undefined {
  if (typeof value === 'number') return { median: value, lowest: value, highest: value }
  return typeof value === 'object' ? value : undefined
}
