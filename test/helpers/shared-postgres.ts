// Keeps the run's PostgreSQL: a process of its own, which ends when it is told to or when the run is gone.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { SHARED_SERVER, startPostgres } from './postgres.ts'

const runPid = Number(process.argv[2])

const server = await startPostgres(['-c', 'fsync=off', '-c', 'max_connections=300'])
mkdirSync(dirname(SHARED_SERVER), { recursive: true })
writeFileSync(`${SHARED_SERVER}.new`, JSON.stringify({ url: server.url, keeper: process.pid, run: runPid }))
renameSync(`${SHARED_SERVER}.new`, SHARED_SERVER)

const timer = setInterval(() => {
  if (!isAlive(runPid)) void end()
}, 500)
process.once('SIGTERM', end)

async function end(): Promise<void> {
  clearInterval(timer)
  rmSync(SHARED_SERVER, { force: true })
  await server.destroy()
  process.exit(0)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
