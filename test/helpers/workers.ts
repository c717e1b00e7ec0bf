import type { Test } from 'tap'
import { poll } from './poll.ts'
import { startServer } from './process.ts'

/** Two workers of one supervisor. */
export interface TwoWorkers {
  readonly url: string
  /** Where the metrics of both are. */
  readonly metricsUrl: string
  readonly pids: readonly number[]
  /** Ends them by a signal, and waits for it. */
  end(): Promise<{ code: number | null }>
}

/**
 * Starts two workers on a database. They are killed when the test ends.
 *
 * @param metricsPort none for metrics beside everything else
 */
export async function startTwoWorkers(t: Test, databaseUrl: string, metricsPort = '0'): Promise<TwoWorkers> {
  const env = { WORKERS: '2', DATABASE_URL: databaseUrl, METRICS_PORT: metricsPort, LOG_LEVEL: 'info' }
  const { url, child, stdout, ended } = await startServer(t, { env })
  const lines = (): { pid: number; msg: string }[] =>
    stdout()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  const told = (start: string) => lines().filter(({ msg }) => msg.startsWith(start))
  const loaded = await poll('both workers to be ready', () => {
    const found = told('loaded the revocations')
    return found.length === 2 && found
  })
  const [listening = { msg: ` ${url}` }] = told('Metrics server listening at ')
  return {
    url,
    metricsUrl: `${listening.msg.slice(listening.msg.lastIndexOf(' ') + 1)}/metrics`,
    pids: loaded.map(({ pid }) => pid),
    end() {
      child.kill('SIGTERM')
      return ended()
    },
  }
}
