import { COLOURS, shape, svg, text } from './svg.ts'
import { numberText } from './table.ts'

/** What grows, and what it costs as it does. */
export interface Line {
  readonly name: string
  readonly points: readonly Point[]
}

export interface Point {
  /** How many there are. */
  readonly at: number
  readonly value: number
}

export interface LineChart {
  readonly title: string
  readonly caption: string
  /** What there are more and more of, such as accounts. */
  readonly axis: string
}

const WIDTH = 840
const HEIGHT = 420
const AREA = { left: 64, right: 540, top: 76, bottom: 360 } as const

/** From here on nothing flat could be told apart, were the axis not logarithmic. */
const STEEP = 5

/** How far apart the names of two lines stand at least. */
const NAME = 18

/**
 * Lines over a logarithmic axis, each relative to its own first value: what does not grow stays at 1. A line of fewer
 * than two points is left out.
 */
export function lineChart(given: readonly Line[], { title, caption, axis }: LineChart): string {
  const lines = given.flatMap(({ name, points }, n) => {
    const sorted = points.toSorted((one, other) => one.at - other.at)
    const first = sorted[0]
    if (first === undefined || sorted.length < 2) return []
    const relative = sorted.map(({ at, value }) => ({ at, value: value / first.value }))
    return [{ name, points: relative, colour: COLOURS[n % COLOURS.length] as string }]
  })
  const counts = [...new Set(lines.flatMap(({ points }) => points.map(({ at }) => at)))].toSorted(
    (a, b) => a - b,
  )
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value))
  const scale = Math.max(...values) > STEEP ? logarithmic(values) : linear(values)
  const { left, right, top, bottom } = AREA
  const place = Math.log10
  const [least, last] = [place(counts[0] ?? 1), place(counts.at(-1) ?? 10)]
  const x = (at: number) => left + ((place(at) - least) / (last - least)) * (right - left)
  const y = (value: number) => bottom - scale.place(value) * (bottom - top)

  const shapes = [
    text(title, { x: 16, y: 28, class: 'title' }),
    text(caption, { x: 16, y: 48, class: 'quiet' }),
  ]
  for (const value of scale.ticks) {
    shapes.push(
      shape('line', { x1: left, x2: right, y1: y(value), y2: y(value), class: 'axis' }),
      text(`${value}`, { x: left - 10, y: y(value) + 4, 'text-anchor': 'end', class: 'quiet' }),
    )
  }
  for (const at of counts) {
    const label = at.toLocaleString('en')
    shapes.push(text(label, { x: x(at), y: bottom + 22, 'text-anchor': 'middle', class: 'quiet' }))
  }
  shapes.push(text(axis, { x: (left + right) / 2, y: bottom + 44, 'text-anchor': 'middle', class: 'quiet' }))

  const ends = lines.map((line) => ({ ...line, end: y(line.points.at(-1)?.value ?? 1) }))
  let free = top
  for (const { name, points, colour, end } of ends.toSorted((one, other) => one.end - other.end)) {
    const corners = points.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`)
    shapes.push(`<polyline points="${corners.join(' ')}" class="line ${colour}" style="fill: none"/>`)
    for (const { at, value } of points) {
      shapes.push(shape('circle', { cx: x(at), cy: y(value), r: 3.5, class: colour }))
    }
    const level = Math.max(free, end)
    free = level + NAME
    const factor = numberText(points.at(-1)?.value ?? 1)
    shapes.push(text(`${name} × ${factor}`, { x: right + 12, y: level + 4, class: colour }))
  }
  const description = lines
    .map(
      ({ name, points }) =>
        `${name}: ${points.map(({ at, value }) => `${numberText(value)} at ${at}`).join(', ')}`,
    )
    .join('; ')
  return svg({
    ...{
      width: WIDTH,
      height: Math.max(HEIGHT, free + 16),
      title: `${title}. ${caption}`,
      description,
      shapes,
    },
  })
}

/** Where a value stands between the bottom (0) and the top (1), and which are named at the side. */
interface Scale {
  readonly place: (value: number) => number
  readonly ticks: readonly number[]
}

function linear(values: readonly number[]): Scale {
  const most = Math.max(1.5, ...values.map((value) => value * 1.05))
  const step = most > 3 ? 1 : 0.5
  const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, n) => n * step)
  return { place: (value) => value / most, ticks }
}

function logarithmic(values: readonly number[]): Scale {
  const least = Math.floor(Math.log10(Math.min(1, ...values) * 0.999))
  const most = Math.log10(Math.max(...values) * 1.1)
  const ticks = Array.from({ length: Math.floor(most) - least + 1 }, (_, n) => 10 ** (least + n))
  return { place: (value) => (Math.log10(value) - least) / (most - least), ticks }
}
