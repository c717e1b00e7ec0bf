import { readFileSync } from 'node:fs'
import type { SyntaxNode } from '@lezer/common'
import { parser } from '@prometheus-io/lezer-promql'
import t from 'tap'
import { parse } from 'yaml'
import { request, signUp } from '../helpers/client.ts'
import { parseExposition, type ScrapedMetric } from '../helpers/exposition.ts'
import { emptyDatabase } from '../helpers/nodes.ts'
import { startTwoWorkers } from '../helpers/workers.ts'

const read = (path: string) => readFileSync(new URL(`../../deploy/${path}`, import.meta.url), 'utf8')

/** What Prometheus itself adds to a target and to what it scrapes of it. */
const TARGET_LABELS = ['job', 'instance']
const OF_PROMETHEUS = 'up'

interface Target {
  readonly expr: string
  readonly legendFormat: string
}

interface Panel {
  readonly type: string
  readonly title: string
  readonly targets?: readonly Target[]
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
}

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

const dashboard: {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly query: { readonly query?: string } }[]
  }
  readonly annotations: { readonly list: readonly { readonly expr: string }[] }
} = JSON.parse(read('grafana/latchkey.json'))
const rules: readonly Rule[] = parse(read('prometheus/alerts.yaml')).groups.flatMap(
  (group: { rules: Rule[] }) => group.rules,
)

/** A service under some load, on what has the most metrics: two workers, PostgreSQL. */
const scraped = (async () => {
  const { url, metricsUrl } = await startTwoWorkers(t, await emptyDatabase(t, 'postgres'))
  await signUp(url, 'ada@example.com')
  await request(url, '/me')
  return parseExposition(await (await fetch(metricsUrl)).text())
})()

/** What a selector names: a metric, by which of its labels. */
interface Selector {
  readonly metric: string
  readonly labels: readonly string[]
}

/** The metrics that an expression reads, with the labels it uses of each. @throws Error if it is not PromQL */
function selectorsOf(expression: string): Selector[] {
  // Grafana puts a duration in its place, and words into the strings.
  const text = expression.replaceAll('$__rate_interval', '5m')
  const tree = parser.parse(text)
  const selectors: Selector[] = []
  const textOf = ({ from, to }: { from: number; to: number }) => text.slice(from, to)
  tree.iterate({
    enter({ type, node }) {
      if (type.isError) throw new Error(`no PromQL: ${expression}`)
      if (type.name !== 'VectorSelector') return
      const name = node.getChild('Identifier')
      if (name === null) throw new Error(`no metric is named: ${expression}`)
      const matched = labelsIn(node)
      const grouped = ancestors(node)
        .filter(({ name }) => name === 'AggregateExpr')
        .flatMap((aggregate) => aggregate.getChildren('AggregateModifier'))
        .flatMap(labelsIn)
      selectors.push({ metric: textOf(name), labels: [...matched, ...grouped].map(textOf) })
    },
  })
  return selectors
}

function labelsIn(node: SyntaxNode): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = []
  node.cursor().iterate(({ name, from, to }) => {
    if (from < node.to && name === 'LabelName') found.push({ from, to })
  })
  return found
}

function ancestors(node: SyntaxNode): SyntaxNode[] {
  return node.parent === null ? [] : [node.parent, ...ancestors(node.parent)]
}

/** The labels that the series of a name have in a scrape; undefined where there is no such metric. */
function labelsOf(name: string, metrics: ReadonlyMap<string, ScrapedMetric>): Set<string> | undefined {
  if (name === OF_PROMETHEUS) return new Set(TARGET_LABELS)
  const metric = metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, ''))
  const series = metric?.series.filter((each) => each.name === name)
  if (series === undefined || series.length === 0) return undefined
  return new Set([...TARGET_LABELS, ...series.flatMap(({ labels }) => Object.keys(labels))])
}

/** What is wrong with an expression, by what there is in a scrape. */
function faults(expression: string, metrics: ReadonlyMap<string, ScrapedMetric>): string[] {
  return selectorsOf(expression).flatMap(({ metric, labels }) => {
    const known = labelsOf(metric, metrics)
    if (known === undefined) return [`there is no ${metric}`]
    return labels.filter((label) => !known.has(label)).map((label) => `${metric} has no ${label}`)
  })
}

const targets = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map((target) => ({ title, ...target })),
)
const queries = dashboard.templating.list.flatMap(({ query }) => query.query ?? [])

t.test('the check finds what is wrong', async (t) => {
  const metrics = await scraped
  t.throws(() => selectorsOf('sum(rate(latchkey_requests_total[5m])'), /no PromQL/)
  t.throws(() => selectorsOf('sum by (job) ({job="latchkey"})'), /no metric/)
  const wrong = 'sum by (outcome) (rate(latchkey_requests_total{code="200"}[5m])) / no_such_thing'
  t.strictSame(faults(wrong, metrics), [
    'latchkey_requests_total has no code',
    'latchkey_requests_total has no outcome',
    'there is no no_such_thing',
  ])
})

t.test('every panel shows what there is, by labels that there are', async (t) => {
  const metrics = await scraped
  t.ok(targets.length >= 30)
  for (const { title, expr, legendFormat } of targets) {
    t.strictSame(faults(expr, metrics), [], `${title}: ${expr}`)
    t.match(expr, /\{job="\$job", instance=~"\$instance"/, `${title} heeds the choice of instances`)
    const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
    const labels = selectorsOf(expr).flatMap(({ labels }) => [...labels, ...TARGET_LABELS])
    for (const label of shown) t.ok(labels.includes(label), `${title} names ${label}`)
  }
  for (const { expr } of dashboard.annotations.list) t.strictSame(faults(expr, metrics), [], expr)
  for (const query of queries) {
    const [, expression = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? []
    t.strictSame(faults(`sum by (${label}) (${expression})`, metrics), [], query)
  }
})

t.test('every panel has its place, and the data source that was chosen', async (t) => {
  const taken = new Set<string>()
  for (const { type, title, gridPos, datasource } of dashboard.panels) {
    const { x, y, w, h } = gridPos
    t.ok(x + w <= 24, title)
    for (let column = x; column < x + w; column++) {
      for (let line = y; line < y + h; line++) {
        t.notOk(taken.has(`${column} ${line}`), `${title} covers nothing`)
        taken.add(`${column} ${line}`)
      }
    }
    if (type !== 'row') t.equal(datasource?.uid, `\${datasource}`, title)
  }
})

t.test('every alert looks at what there is, and says what to make of it', async (t) => {
  const metrics = await scraped
  t.ok(rules.length >= 10)
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, expr, for: time, labels, annotations } of rules) {
    t.strictSame(faults(expr, metrics), [], alert)
    t.match(alert, /^Latchkey[A-Z]\w+$/)
    t.match(time, /^\d+m$/, alert)
    t.match(labels.severity, /^(critical|warning)$/, alert)
    t.match(annotations.summary, /^[A-Z].*\.$/, alert)
    t.match(annotations.description, /^(\{\{|[A-Z]).*\.$/s, alert)
    const used = [...annotations.description.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label)
    const kept = selectorsOf(expr).flatMap(({ labels }) => [...labels, ...TARGET_LABELS])
    for (const label of used) t.ok(kept.includes(label), `${alert} keeps ${label}`)
  }
})

t.test('what is measured is shown or watched', async (t) => {
  const expressions = [...targets.map(({ expr }) => expr), ...rules.map(({ expr }) => expr)]
  const used = new Set(expressions.flatMap(selectorsOf).map(({ metric }) => metric))
  for (const { name, help } of (await scraped).values()) {
    t.match(help, /^[A-Z].*[.]$/s, `${name} says what it is`)
    if (!name.startsWith('latchkey_')) continue
    const isUsed = [name, `${name}_bucket`, `${name}_count`].some((each) => used.has(each))
    t.ok(isUsed, `${name} is used`)
  }
})

t.test('Prometheus is told to look for the job that the alerts look at', async (t) => {
  const { scrape_configs: jobs, rule_files: files } = parse(read('prometheus/prometheus.yaml'))
  t.strictSame(
    jobs.map(({ job_name }: { job_name: string }) => job_name),
    ['latchkey'],
  )
  t.strictSame(files, ['alerts.yaml'])
})
