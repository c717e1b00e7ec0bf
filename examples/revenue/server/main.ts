import { readFileSync } from 'node:fs'
import { createApp } from './app.ts'
import { openRevenue } from './revenue.ts'

/** @throws an Error that names the variable, where it isn't set */
function required(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

const latchkeyUrl = required('LATCHKEY_URL')
const app = await createApp({
  revenue: openRevenue(required('REVENUE_DATABASE')),
  latchkeyUrl,
  page: required('PAGE'),
  verifier: {
    secret: readFileSync(required('JWT_SECRET_FILE'), 'utf8'),
    issuer: latchkeyUrl,
    audience: 'latchkey',
    feed: { url: latchkeyUrl, credential: readFileSync(required('CREDENTIAL_FILE'), 'utf8').trim() },
  },
})
// Who was signed out before this start is known before anybody is let in.
await app.latchkey.verify.ready
await app.listen({ host: '127.0.0.1', port: Number(required('PORT')) })
process.once('SIGTERM', () => app.close())
