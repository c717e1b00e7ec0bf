import {
  type Aggregator,
  collectDefaultMetrics,
  type MetricObject,
  type Registry,
} from '@prometheus-io/client'

// Of several workers the slowest is what matters, and the one that was started last.
const aggregators: Readonly<Record<string, Aggregator>> = {
  nodejs_eventloop_lag_seconds: 'max',
  nodejs_eventloop_lag_p50_seconds: 'max',
  nodejs_eventloop_lag_p90_seconds: 'max',
  nodejs_eventloop_lag_p99_seconds: 'max',
  process_start_time_seconds: 'max',
}

/**
 * Adds what there is to say of the process itself: CPU, memory, garbage collection, event loop. It watches from then on
 * to the process's end, so it is for processes and not for every app that is made in one.
 */
export function runtimeMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  // Quantiles of several workers can't be made into one; the histogram of the same can.
  registry.removeSingleMetric('nodejs_eventloop_utilization_summary')
  for (const [name, aggregator] of Object.entries(aggregators)) {
    const metric = registry.getSingleMetric(name) as unknown as MetricObject
    metric.aggregator = aggregator
  }
}
