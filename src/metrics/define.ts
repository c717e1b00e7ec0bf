import { type Aggregator, Counter, Gauge, type Metric, type Registry } from '@prometheus-io/client'

export type Labels = Readonly<Record<string, string | number>>

/** A number, and the labels it stands under. */
export type Sample = readonly [value: number, labels?: Labels]

/** What a metric is called, what it says, and under which labels. */
export interface Definition {
  readonly name: string
  readonly help: string
  readonly labelNames?: readonly string[]
}

/** A counter that is read when somebody asks: what counts does so in plain numbers. */
export function counter(registry: Registry, definition: Definition, read: () => Iterable<Sample>): void {
  new Counter<string>({
    ...definition,
    registers: [registry],
    collect() {
      this.reset()
      for (const [value, labels = {}] of read()) this.inc(labels, value)
    },
  })
}

/**
 * A gauge that is read when somebody asks.
 *
 * @param aggregator what it is of several workers: their sum where each has its own, else the least or the greatest
 */
export function gauge(
  registry: Registry,
  { aggregator, ...definition }: Definition & { readonly aggregator: Aggregator },
  read: () => Iterable<Sample> | Promise<Iterable<Sample>>,
): void {
  new Gauge<string>({
    ...definition,
    aggregator,
    registers: [registry],
    async collect() {
      const samples = await read()
      this.reset()
      for (const [value, labels = {}] of samples) this.set(labels, value)
    },
  })
}

/** Observations counted by whoever made them. */
export interface Observations {
  readonly labels: Labels
  /** How many were in each bucket and in none before it; the last one has no upper bound. */
  readonly buckets: readonly number[]
  readonly sum: number
}

/**
 * A histogram that is read when somebody asks. The package's own would cost more at each observation than an answer may.
 *
 * @param bounds the buckets' upper bounds
 */
export function histogram(
  registry: Registry,
  { name, help }: Definition,
  bounds: readonly number[],
  read: () => Iterable<Observations>,
): void {
  const values = () => [...read()].flatMap((observations) => samplesOf(name, bounds, observations))
  const metric = {
    name,
    get: async () => ({ name, help, type: 'histogram', aggregator: 'sum', values: values() }),
  }
  // What a registry asks of a metric, which the package's own aggregate of several also is.
  registry.registerMetric(metric as unknown as Metric)
}

function samplesOf(name: string, bounds: readonly number[], { labels, buckets, sum }: Observations) {
  let count = 0
  const cumulative = buckets.map((inBucket, index) => {
    count += inBucket
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bounds[index] ?? '+Inf' }, value: count }
  })
  return [
    ...cumulative,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
