/**
 * better-auth in Fastify: auth.api.getSession() looks the session up in SQLite (node:sqlite, a write-ahead log) on each
 * request. Session and account come by one query (`joins`), which its node:sqlite dialect prepares each time; sessions
 * are not refreshed on the way, and getSession() is given the cookie alone rather than every header.
 */

import { serveBetterAuth } from './shared/better-auth.ts'

await serveBetterAuth({ enabled: false })
