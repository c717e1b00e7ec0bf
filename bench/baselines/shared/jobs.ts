/** What a process of the bench says to the one that started it. */
export type Answer<Result> =
  | { readonly ready: true }
  | { readonly result: Result }
  | { readonly error: string }

/**
 * Does one job after the other for the process that started this one (suites/shared/child.ts), and ends with it.
 *
 * @param work what a job comes to
 */
export function answerJobs<Job, Result>(work: (job: Job) => Promise<Result>): void {
  // Whatever ends the bench ends this, too.
  process.once('disconnect', () => process.exit(0))
  process.on('message', async (job: Job) => {
    try {
      say({ result: await work(job) })
    } catch (error) {
      say({ error: (error as Error).message })
    }
  })
  say({ ready: true })

  function say(answer: Answer<Result>): void {
    process.send?.(answer)
  }
}
