import { argv, stdout } from 'node:process'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { stringify } from 'yaml'
import { createApp } from '../../src/app.ts'
import { parseConfig } from '../../src/config.ts'
import { openDatabase } from '../../src/database/open.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { createKeyring } from '../../src/tokens/keyring.ts'
import { CHEAP_ARGON2, SECRET } from './service.ts'

/** The OpenAPI document that the routes give, as openapi.yaml has to hold it. `npm run openapi` writes it there. */
export async function openapiYaml(): Promise<string> {
  const config = parseConfig({ JWT_SECRET: SECRET, DATABASE_URL: 'file::memory:' })
  const database = await openDatabase({ url: config.databaseUrl, poolSize: 1, onIdleError: () => {} })
  const app = createApp({
    config,
    database,
    keyring: await createKeyring(config.secrets ?? [], config),
    passwords: await createPasswords(CHEAP_ARGON2),
    logger: pino({ level: 'silent' }),
    clock: Date.now,
  })
  const reply = await app.inject('/openapi.json')
  await app.close()
  await database.close()
  return stringify(reply.json(), { lineWidth: 110 })
}

if (argv[1] === fileURLToPath(import.meta.url)) stdout.write(await openapiYaml())
