/** What a chart is drawn in: the page's own light or dark, on whatever lies behind it. */
const STYLE = `
    text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1f2328 }
    .title { font-size: 16px; font-weight: 600 }
    .quiet { fill: #59636e }
    .group { font-size: 12px; font-weight: 600; fill: #59636e }
    .frame { font-size: 11px }
    .flame { stroke: none }
    .Latchkey { fill: #54aeff } .packages { fill: #d8b9ff } .Node { fill: #d0d7de } .collector { fill: #ffb77c }
    .axis { stroke: #d1d9e0; stroke-width: 1 }
    .bar { fill: #8c959f }
    .bar.own { fill: #0969da }
    .spread { stroke: #1f2328; stroke-width: 1.5 }
    .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
    .a { stroke: #0969da; fill: #0969da } .b { stroke: #bc4c00; fill: #bc4c00 }
    .c { stroke: #1a7f37; fill: #1a7f37 } .d { stroke: #8250df; fill: #8250df }
    .e { stroke: #9a6700; fill: #9a6700 } .f { stroke: #cf222e; fill: #cf222e }
    .g { stroke: #57606a; fill: #57606a } .h { stroke: #bf3989; fill: #bf3989 }
    text.a, text.b, text.c, text.d, text.e, text.f, text.g, text.h { stroke: none }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .quiet, .group { fill: #9198a1 }
      .Latchkey { fill: #1158c7 } .packages { fill: #6e40c9 } .Node { fill: #3d444d } .collector { fill: #9e4a03 }
      .axis { stroke: #3d444d }
      .bar { fill: #656c76 }
      .bar.own { fill: #4493f8 }
      .spread { stroke: #f0f6fc }
      .a { stroke: #4493f8; fill: #4493f8 } .b { stroke: #db6d28; fill: #db6d28 }
      .c { stroke: #3fb950; fill: #3fb950 } .d { stroke: #ab7df8; fill: #ab7df8 }
      .e { stroke: #d29922; fill: #d29922 } .f { stroke: #f85149; fill: #f85149 }
      .g { stroke: #9198a1; fill: #9198a1 } .h { stroke: #db61a2; fill: #db61a2 }
    }`

/** The classes of a chart's lines, each of another colour. */
export const COLOURS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] as const

export interface Drawing {
  readonly width: number
  readonly height: number
  readonly title: string
  /** All that the drawing says, in words. */
  readonly description: string
  readonly shapes: readonly string[]
}

/** A whole SVG document, which can be read aloud. */
export function svg({ width, height, title, description, shapes }: Drawing): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc">
  <title id="title">${escaped(title)}</title>
  <desc id="desc">${escaped(description)}</desc>
  <style>${STYLE}
  </style>
${shapes.map((shape) => `  ${shape}`).join('\n')}
</svg>
`
}

/** An element without content. */
export function shape(name: string, attributes: Readonly<Record<string, string | number>>): string {
  return `<${name}${written(attributes)}/>`
}

/** An element that tells its name to who points at it. */
export function titled(
  name: string,
  attributes: Readonly<Record<string, string | number>>,
  title: string,
): string {
  return `<${name}${written(attributes)}><title>${escaped(title)}</title></${name}>`
}

/** A line of text. @param attributes x and y of its baseline, class, text-anchor */
export function text(content: string, attributes: Readonly<Record<string, string | number>>): string {
  return `<text${written(attributes)}>${escaped(content)}</text>`
}

function written(attributes: Readonly<Record<string, string | number>>): string {
  return Object.entries(attributes)
    .map(
      ([name, value]) =>
        ` ${name}="${typeof value === 'number' ? Number(value.toFixed(1)) : escaped(value)}"`,
    )
    .join('')
}

function escaped(content: string): string {
  return content.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}
