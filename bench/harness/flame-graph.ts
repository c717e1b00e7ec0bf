import { type Frame, type Kind, kinds } from './frames.ts'
import { svg, text, titled } from './svg.ts'

const WIDTH = 1_200
const TOP = 66
const ROW = 17
/** What is narrower is left out: pixels. */
const THINNEST = 2
/** A letter of the names: pixels. */
const LETTER = 6.6
const CAPTION_WIDTH = 110

export interface FlameGraph {
  readonly title: string
  /** What stands below the title, such as where it was measured. */
  readonly caption: string
}

/** Each function upon those that it called, as wide as its share of the time. */
export function flameGraph(root: Frame, { title, caption }: FlameGraph): string {
  const shapes = [
    text(title, { x: 16, y: 28, class: 'title' }),
    text(caption, { x: 16, y: 48, class: 'quiet' }),
  ]
  kinds.forEach((kind, index) => {
    const x = WIDTH - CAPTION_WIDTH * (kinds.length - index)
    shapes.push(box(kind, { x, y: 36, width: 12 }, kind), text(kind, { x: x + 18, y: 47, class: 'quiet' }))
  })
  const across = (WIDTH - 32) / root.time
  let depth = 0

  function draw(frames: readonly Frame[], left: number, level: number): void {
    let x = left
    for (const frame of frames) {
      const width = frame.time * across
      if (width >= THINNEST) {
        depth = Math.max(depth, level)
        const y = TOP + level * ROW
        const share = `${((frame.time / root.time) * 100).toFixed(1)} %`
        shapes.push(box(frame.kind, { x, y, width: width - 0.5 }, `${frame.name}: ${share}`))
        const label = shortened(frame.functionName, width)
        if (label !== '') shapes.push(text(label, { x: x + 3, y: y + 12, class: 'frame' }))
        draw(frame.children, x, level + 1)
      }
      x += width
    }
  }

  draw(root.children, 16, 0)
  const height = TOP + (depth + 1) * ROW + 16
  return svg({ width: WIDTH, height, title: `${title}. ${caption}`, description: title, shapes })
}

function box(kind: Kind, at: { x: number; y: number; width: number }, name: string): string {
  return titled('rect', { ...at, height: ROW - 2, rx: 1, class: `flame ${kind.replace('.js', '')}` }, name)
}

function shortened(name: string, width: number): string {
  const letters = Math.floor((width - 6) / LETTER)
  if (letters < 3) return ''
  return name.length <= letters ? name : `${name.slice(0, letters - 1)}…`
}
