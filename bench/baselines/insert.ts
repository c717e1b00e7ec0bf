/**
 * The least that a sign-up has to do: one password hash, by the same package with the same parameters, and one bare
 * INSERT of an account through the same driver. UV_THREADPOOL_SIZE says how many hashes are made at a time.
 */

import { randomUUIDv7 } from 'node:crypto'
import argon2 from 'argon2'
import { openFor } from './shared/database.ts'
import { answerJobs } from './shared/jobs.ts'
import { type Done, repeat } from './shared/loop.ts'
import { argon2Parameters, PASSWORD } from './shared/password.ts'

export interface InsertJob {
  readonly seconds: number
  readonly workers: number
}

const run = openFor(`
  insert into accounts
    (id, kind, email, email_key, name, search_key, password_hash, status, created_at, updated_at)
  values (?, 'person', ?, ?, ?, ?, ?, 'active', ?, ?)
`)

answerJobs<InsertJob, Done>((job) =>
  repeat(job, async () => {
    const passwordHash = await argon2.hash(PASSWORD, argon2Parameters)
    const id = randomUUIDv7()
    const email = `${id}@example.com`
    const now = Date.now()
    await run([id, email, email, 'Ada', `${email}\nada`, passwordHash, now, now])
  }),
)
