// Starts the one PostgreSQL of this run, before any test file.
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { poll } from './poll.ts'
import { SHARED_SERVER } from './postgres.ts'

rmSync(SHARED_SERVER, { force: true })
const keeper = fileURLToPath(new URL('./shared-postgres.ts', import.meta.url))
const child = spawn(process.execPath, [keeper, String(process.ppid)], {
  detached: true,
  stdio: 'ignore',
  env: { PATH: process.env.PATH, LATCHKEY_TEST_POSTGRES: SHARED_SERVER },
})
child.unref()
await poll(
  'the PostgreSQL of this run',
  () => existsSync(SHARED_SERVER) && JSON.parse(readFileSync(SHARED_SERVER, 'utf8')).keeper === child.pid,
  60_000,
)
