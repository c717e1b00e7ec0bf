/**
 * argon2 in a loop and nothing else: the package that Latchkey uses, with the same parameters, as many at a time as it
 * has at a time. A login checks a hash, so this does.
 */

import argon2 from 'argon2'
import { answerJobs } from './shared/jobs.ts'
import { type Done, repeat } from './shared/loop.ts'
import { argon2Parameters, PASSWORD } from './shared/password.ts'

export interface Argon2Job {
  readonly seconds: number
  /** How many at a time. */
  readonly workers: number
}

const hash = await argon2.hash(PASSWORD, argon2Parameters)

answerJobs<Argon2Job, Done>((job) =>
  repeat(job, async () => {
    if (!(await argon2.verify(hash, PASSWORD))) throw new Error('the password is the right one')
  }),
)
