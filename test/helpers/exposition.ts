/** A series of a metric, and its value. */
export interface Series {
  /** With the suffix that a histogram's has. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A metric as it stands in a scrape. */
export interface ScrapedMetric {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly series: readonly Series[]
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\[\\\\"n])*)"'
const SERIES = new RegExp(`^(${NAME})(?:\\{(${LABEL}(?:,${LABEL})*)\\})? (\\S+)$`)
const suffixes: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
}

/**
 * Reads Prometheus's text format, version 0.0.4, more strictly than Prometheus does: each metric once, with its HELP and
 * TYPE before it, no series twice, and histograms that add up.
 *
 * @throws Error that quotes the line
 */
export function parseExposition(text: string): ReadonlyMap<string, ScrapedMetric> {
  if (!text.endsWith('\n')) throw new Error('it ends without a line feed')
  const metrics = new Map<string, ScrapedMetric>()
  for (const block of text.trimEnd().split(/\n+(?=# HELP )/)) {
    const [helpLine = '', typeLine = '', ...lines] = block.split('\n')
    const [, name = '', help = ''] = new RegExp(`^# HELP (${NAME}) (\\S.*)$`).exec(helpLine) ?? fail(helpLine)
    const [, type = ''] =
      new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`).exec(typeLine) ?? fail(typeLine)
    if (metrics.has(name)) fail(helpLine)
    const series = lines.map((line) => parseSeries(line, name, suffixes[type] as readonly string[]))
    const keys = series.map(({ name, labels }) => `${name} ${JSON.stringify(Object.entries(labels).sort())}`)
    if (new Set(keys).size < keys.length) fail(`a series of ${name} stands twice`)
    if (type === 'counter' && series.some(({ value }) => value < 0)) fail(`${name} is negative`)
    if (type === 'histogram') checkHistogram(name, series)
    metrics.set(name, { name, help, type, series })
  }
  return metrics
}

function parseSeries(line: string, metric: string, allowed: readonly string[]): Series {
  const match = SERIES.exec(line) ?? fail(line)
  const [, name = '', labelText = ''] = match
  if (!allowed.some((suffix) => name === metric + suffix)) fail(line)
  const labels = [...labelText.matchAll(new RegExp(LABEL, 'g'))].map(([, key = '', value = '']) => [
    key,
    value,
  ])
  const value = Number(match.at(-1))
  if (Number.isNaN(value) || new Set(labels.map(([key]) => key)).size < labels.length) fail(line)
  return { name, labels: Object.fromEntries(labels), value }
}

function checkHistogram(metric: string, series: readonly Series[]): void {
  const keyOf = ({ labels: { le, ...rest } }: Series) => JSON.stringify(Object.entries(rest).sort())
  for (const [key, group] of Map.groupBy(series, keyOf)) {
    const buckets = group.filter(({ name }) => name === `${metric}_bucket`)
    const counts = buckets.map(({ value }) => value)
    const count = group.find(({ name }) => name === `${metric}_count`)?.value
    const isWhole =
      buckets.at(-1)?.labels.le === '+Inf' &&
      counts.at(-1) === count &&
      counts.every((value, index) => value >= (counts[index - 1] ?? 0)) &&
      group.length === buckets.length + 2
    if (!isWhole) fail(`${metric} ${key} does not add up`)
  }
}

function fail(what: string): never {
  throw new Error(`no exposition: ${what}`)
}

/** @returns the sum of the series with that name that have these labels; 0 if there is none */
export function valueIn(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const series = [...parseExposition(text).values()].flatMap(({ series }) => series)
  const isMeant = (each: Series) =>
    each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value)
  return series.filter(isMeant).reduce((sum, { value }) => sum + value, 0)
}
