import type { Registry } from '@prometheus-io/client'
import { counter, histogram } from './define.ts'
import { DURATION_BUCKETS, type RequestMeters, type RouteMeter } from './requests.ts'

/** How often a refresh gave the same tokens once more. */
export interface RefreshCounts {
  repeated: number
}

/** What is answered, by route; and what comes of logins, sign-ups, refreshes and credentials. */
export function requestMetrics(
  registry: Registry,
  meters: RequestMeters,
  { refreshes }: { readonly refreshes: RefreshCounts },
): void {
  counter(
    registry,
    {
      name: 'latchkey_requests_total',
      help: 'Answers, by route (its pattern; "unknown" where none took the request), method and status.',
      labelNames: ['route', 'method', 'status'],
    },
    function* () {
      for (const { route, method, answers } of meters.all) {
        for (const [status, count] of answers) yield [count, { route, method, status }]
      }
    },
  )

  counter(
    registry,
    {
      name: 'latchkey_problems_total',
      help: 'Answers that were problems, by route, method and problem code.',
      labelNames: ['route', 'method', 'code'],
    },
    function* () {
      for (const { route, method, problems } of meters.all) {
        for (const [code, count] of problems) yield [count, { route, method, code }]
      }
    },
  )

  histogram(
    registry,
    {
      name: 'latchkey_request_duration_seconds',
      help: 'Time from a request whose headers were read to the beginning of its answer, by route and method.',
    },
    DURATION_BUCKETS,
    function* () {
      for (const { route, method, buckets, seconds } of meters.all) {
        if (seconds > 0) yield { labels: { route, method }, buckets, sum: seconds }
      }
    },
  )

  const outcomesOf = (route: string) => () => outcomes(meters.find('POST', route))
  const labelNames = ['outcome']
  counter(
    registry,
    {
      name: 'latchkey_logins_total',
      help: 'Logins by outcome: ok, or the problem that was answered.',
      labelNames,
    },
    outcomesOf('/auth/login'),
  )
  counter(
    registry,
    {
      name: 'latchkey_signups_total',
      help: 'Sign-ups by outcome: ok, or the problem that was answered.',
      labelNames,
    },
    outcomesOf('/auth/signup'),
  )
  counter(
    registry,
    {
      name: 'latchkey_credential_exchanges_total',
      help: 'Credentials of service accounts that were shown for an access token, by outcome: ok, or the problem.',
      labelNames,
    },
    outcomesOf('/auth/token'),
  )
  counter(
    registry,
    {
      name: 'latchkey_refreshes_total',
      help: 'Refreshes by outcome: ok, repeated (the same tokens once more, within the grace), or the problem.',
      labelNames,
    },
    function* () {
      for (const [count, { outcome }] of outcomesOf('/auth/refresh')()) {
        yield [outcome === 'ok' ? count - refreshes.repeated : count, { outcome }]
      }
      yield [refreshes.repeated, { outcome: 'repeated' }]
    },
  )
}

// What may happen is there with a zero before it does: an alert looks at how a number grows. Routes come after metrics,
// and somebody may scrape in between.
function* outcomes(meter: RouteMeter | undefined): Generator<[count: number, labels: { outcome: string }]> {
  if (meter === undefined) return
  const { answers, problems, expected } = meter
  let ok = 0
  for (const [status, count] of answers) if (status < 400) ok += count
  yield [ok, { outcome: 'ok' }]
  for (const code of new Set([...expected, ...problems.keys()])) {
    yield [problems.get(code) ?? 0, { outcome: code }]
  }
}
