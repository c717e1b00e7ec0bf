/**
 * The bare conditional UPDATE of a refresh: the statement that src/sessions/store.ts sends, through the same driver, on a
 * table of the same shape that is as full. Each worker rotates sessions of its own in turn, as the clients do.
 */

import { randomBytes } from 'node:crypto'
import { openFor } from './shared/database.ts'
import { answerJobs } from './shared/jobs.ts'
import { type Done, repeat } from './shared/loop.ts'

export interface UpdateJob {
  readonly seconds: number
  readonly workers: number
}

export interface Rotated {
  readonly id: string
  /** Of its newest secret, in hex. */
  readonly hash: string
}

const WEEK = 7 * 86_400_000

const run = openFor(`
  update sessions set rotation_salt = ?, secret_hash = ?, rotated_at = ?, last_used_at = ?, expires_at = ?
  where id = ? and secret_hash = ? returning id
`)

const sessions: { readonly id: string; hash: Buffer }[] = []

answerJobs<UpdateJob | readonly Rotated[], Done | undefined>(async (job) => {
  if (isGiven(job)) {
    sessions.push(...job.map(({ id, hash }) => ({ id, hash: Buffer.from(hash, 'hex') })))
    return undefined
  }
  const next = Array.from({ length: job.workers }, (_, worker) => worker)
  return repeat(job, async (worker) => {
    const turn = next[worker] as number
    next[worker] = turn + job.workers < sessions.length ? turn + job.workers : worker
    const session = sessions[turn]
    if (session === undefined) throw new Error('there are fewer sessions than workers')
    const [salt, hash, now] = [randomBytes(32), randomBytes(32), Date.now()]
    const rows = await run([salt, hash, now, now, now + WEEK, session.id, session.hash])
    if (rows.length !== 1) throw new Error('the session was rotated by somebody else')
    session.hash = hash
  })
})

function isGiven(job: UpdateJob | readonly Rotated[]): job is readonly Rotated[] {
  return Array.isArray(job)
}
