import { createRequire } from 'node:module'
import type { Aggregator, MetricObject, Registry } from '@prometheus-io/client'

// All that collectDefaultMetrics() adds, but for the duration of garbage collections, whose observer made a guarded
// request half as dear again, and the utilization of the event loop, whose quantiles can't be added up.
const metrics = [
  'processCpuTotal',
  'processStartTime',
  'osMemoryHeap',
  'processOpenFileDescriptors',
  'processMaxFileDescriptors',
  'eventLoopLag',
  'processResources',
  'heapSizeAndUsed',
  'heapSpacesSizeAndUsed',
  'version',
]

// Milliseconds between two looks at how late the event loop is.
const PRECISION = 20

// Of several workers the slowest is what matters, and the one that was started last.
const aggregators: Readonly<Record<string, Aggregator>> = {
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  process_start_time_seconds: 'max',
}

type AddMetric = (registry: Registry, config: { readonly eventLoopMonitoringPrecision: number }) => void

/**
 * Adds what there is to say of the process itself: CPU, memory, event loop. It watches from then on to the process's end,
 * so it is for processes and not for every app that is made in one.
 */
export function runtimeMetrics(registry: Registry): void {
  const require = createRequire(import.meta.url)
  for (const name of metrics) {
    const add: AddMetric = require(`@prometheus-io/client/lib/metrics/${name}.js`)
    add(registry, { eventLoopMonitoringPrecision: PRECISION })
  }
  for (const [name, aggregator] of Object.entries(aggregators)) {
    const metric = registry.getSingleMetric(name) as unknown as MetricObject
    metric.aggregator = aggregator
  }
}
