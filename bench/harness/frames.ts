import type { CpuProfile, ProfileNode } from './profiler.ts'

/** Whose a function is. */
export const kinds = ['Latchkey', 'packages', 'Node.js', 'collector'] as const
export type Kind = (typeof kinds)[number]

/** A function, called from those above it. */
export interface Frame {
  readonly functionName: string
  /** The function and where it is: `verify (tokens/keyring.js)`. */
  readonly name: string
  readonly kind: Kind
  /** Microseconds in it, and in what it called. */
  readonly time: number
  /** Microseconds in it alone. */
  readonly self: number
  readonly children: readonly Frame[]
}

const NOT_WORK = new Set(['(idle)'])
const COLLECTOR = '(garbage collector)'

/** A profile as a tree of what took time, the calls of one function from one place together; the most time comes first. */
export function framesOf({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const times = new Map<number, number>()
  samples.forEach((id, index) => {
    times.set(id, (times.get(id) ?? 0) + (timeDeltas[index] ?? 0))
  })
  const [root] = nodes as [ProfileNode]
  return together([root], byId, times)
}

function together(
  nodes: readonly ProfileNode[],
  byId: ReadonlyMap<number, ProfileNode>,
  times: ReadonlyMap<number, number>,
): Frame {
  const [{ callFrame }] = nodes as [ProfileNode]
  const self = nodes.reduce((sum, { id }) => sum + (times.get(id) ?? 0), 0)
  const called = nodes
    .flatMap(({ children = [] }) => children.map((id) => byId.get(id) as ProfileNode))
    .filter(({ callFrame: { functionName } }) => !NOT_WORK.has(functionName))
  const children = [...Map.groupBy(called, (node) => nameOf(node.callFrame)).values()]
    .map((group) => together(group, byId, times))
    .toSorted((one, other) => other.time - one.time)
  const time = children.reduce((sum, child) => sum + child.time, self)
  const functionName = callFrame.functionName || '(anonymous)'
  return { functionName, name: nameOf(callFrame), kind: kindOf(callFrame), time, self, children }
}

/** Every function's own time, however it was called, the most first. */
export function selfTimes(root: Frame): { name: string; kind: Kind; self: number }[] {
  const found = new Map<string, { name: string; kind: Kind; self: number }>()
  const walk = ({ name, kind, self, children }: Frame): void => {
    const known = found.get(name)
    found.set(name, { name, kind, self: self + (known?.self ?? 0) })
    children.forEach(walk)
  }
  walk(root)
  return [...found.values()].toSorted((one, other) => other.self - one.self)
}

function kindOf({ functionName, url }: ProfileNode['callFrame']): Kind {
  if (functionName === COLLECTOR) return 'collector'
  if (url.includes('/node_modules/')) return 'packages'
  return url.includes('/dist/') ? 'Latchkey' : 'Node.js'
}

function nameOf({ functionName, url, lineNumber }: ProfileNode['callFrame']): string {
  const place = url.replace(/^.*\/(?:node_modules|dist)\//, '').replace(/^file:\/\//, '')
  const name = functionName || `(anonymous, line ${lineNumber + 1})`
  return place === '' ? name : `${name} (${place})`
}
