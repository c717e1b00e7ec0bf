import { randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import t from 'tap'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { createSessions } from '../../src/sessions/sessions.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { sweepRegularly } from '../../src/sessions/sweeper.ts'
import { createMint } from '../../src/tokens/mint.ts'
import { createRevocations } from '../../src/tokens/revocations.ts'
import { poll } from '../helpers/poll.ts'
import { CHEAP_ARGON2, createService, databases, type TestService } from '../helpers/service.ts'

// The rules of sessions, over the parts of the service.
async function sessionsOf({ config, database, keyring, clock }: TestService) {
  return createSessions({
    store: createSessionStore(database.db),
    passwords: await createPasswords(CHEAP_ARGON2),
    mint: createMint(keyring, config, config.accessTokenTtl),
    revocations: createRevocations(clock),
    record: () => {},
    clock,
    idleTtl: config.refreshTokenTtl,
    sessionTtl: config.sessionTtl,
  })
}

async function insertExpired({ database: { db }, clock }: TestService, sessionId: string, count: number) {
  const row = await db
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', sessionId)
    .executeTakeFirstOrThrow()
  for (let left = count; left > 0; left -= 400) {
    const rows = Array.from({ length: Math.min(left, 400) }, (_, index) => ({
      ...row,
      id: randomUUIDv7(),
      expires_at: clock() - index,
    }))
    await db.insertInto('sessions').values(rows).execute()
  }
}

async function remaining({ database }: TestService): Promise<string[]> {
  const rows = await database.db.selectFrom('sessions').select('id').orderBy('id').execute()
  return rows.map(({ id }) => id)
}

for (const database of databases) {
  t.test(`a sweep deletes every expired session and no other, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const sessions = await sessionsOf(service)
    t.equal(await sessions.sweep(() => false), 0)

    const ada = await service.signUp()
    const eve = await service.signUp()
    for (const count of [1, 500, 1_201]) {
      await insertExpired(service, ada.sessionId, count)
      t.equal(await sessions.sweep(() => false), count)
      t.strictSame(await remaining(service), [ada.sessionId, eve.sessionId].sort())
    }
  })
}

t.test('a long sweep lets others do their work, and can be stopped', async (t) => {
  const service = await createService(t)
  const sessions = await sessionsOf(service)
  const { sessionId } = await service.signUp()
  await insertExpired(service, sessionId, 5_000)

  let turns = 0
  let stopped = false
  const turn = () => {
    turns++
    if (!stopped) setImmediate(turn)
  }
  setImmediate(turn)
  t.equal(await sessions.sweep(() => turns >= 4), 2_000, 'a batch of 500 in each turn of the event loop')
  stopped = true
  t.equal((await remaining(service)).length, 3_001)
})

t.test('sweeping goes on regularly until it is stopped', async (t) => {
  const service = await createService(t)
  const { sessionId } = await service.signUp()
  const log: string[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => log.push(line) })
  const stop = sweepRegularly(await sessionsOf(service), logger, 1)

  for (const round of ['first', 'second']) {
    await insertExpired(service, sessionId, 3)
    await poll(`the ${round} sweep`, async () => (await remaining(service)).length === 1)
  }
  await poll('its lines in the log', () => log.filter((line) => JSON.parse(line).deleted > 0).length >= 2)

  await stop()
  const lines = log.length
  await insertExpired(service, sessionId, 3)
  // Many intervals later.
  const later = Date.now() + 50
  await poll('some time', () => Date.now() > later)
  t.equal((await remaining(service)).length, 4)
  t.equal(log.length, lines)
})

t.test('a sweep that fails is logged, and is tried again', async (t) => {
  const service = await createService(t)
  const sessions = await sessionsOf(service)
  await sql`drop table sessions`.execute(service.database.db)
  const log: string[] = []
  const logger = pino({ level: 'debug' }, { write: (line: string) => log.push(line) })
  const stop = sweepRegularly(sessions, logger, 1)
  await poll('two failed sweeps', () => log.length >= 2)
  await stop()
  const { level, msg, err } = JSON.parse(log[0] as string)
  t.equal(level, pino.levels.values.warn)
  t.equal(msg, 'could not sweep expired sessions')
  t.ok(err.message)
})
