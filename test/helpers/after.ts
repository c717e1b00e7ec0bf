// Stops the PostgreSQL of this run, after the last test file.
import { existsSync, readFileSync } from 'node:fs'
import { poll } from './poll.ts'
import { SHARED_SERVER } from './postgres.ts'

process.kill(JSON.parse(readFileSync(SHARED_SERVER, 'utf8')).keeper, 'SIGTERM')
await poll('the end of the PostgreSQL of this run', () => !existsSync(SHARED_SERVER))
