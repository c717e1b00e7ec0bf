// Keeps the run's PostgreSQL: a process of its own, which ends when it is told to or when the run is gone.
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SHARED_SERVER, startPostgres } from './postgres.ts'

const runPid = Number(process.argv[2])
const file = fileURLToPath(SHARED_SERVER)

const server = await startPostgres(['-c', 'fsync=off', '-c', 'max_connections=300'])
mkdirSync(fileURLToPath(new URL('.', SHARED_SERVER)), { recursive: true })
writeFileSync(`${file}.new`, JSON.stringify({ url: server.url, keeper: process.pid, run: runPid }))
renameSync(`${file}.new`, file)

const timer = setInterval(() => {
  if (!isAlive(runPid)) void end()
}, 500)
process.once('SIGTERM', end)

async function end(): Promise<void> {
  clearInterval(timer)
  rmSync(file, { force: true })
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
