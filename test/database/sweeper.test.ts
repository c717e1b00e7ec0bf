import { randomUUIDv7 } from 'node:crypto'
import { sql } from 'kysely'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type Sweep, sweepRegularly } from '../../src/database/sweeper.ts'
import { createSessionStore } from '../../src/sessions/store.ts'
import { poll } from '../helpers/poll.ts'
import { createService, databases, type TestService } from '../helpers/service.ts'

/** A sweeper that sweeps each millisecond, and the lines that it logs. */
function start(t: Test, sweeps: Readonly<Record<string, Sweep>>, { clock }: TestService) {
  const lines: { level: number; msg: string; deleted?: number; err?: { message: string } }[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const stop = sweepRegularly(sweeps, clock, log, 1)
  t.teardown(stop)
  return { lines, stop }
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

/** The sweep of a service's expired sessions. */
const sessionSweep = ({ database }: TestService): Sweep => createSessionStore(database.db).sweep

for (const database of databases) {
  t.test(`every expired session is swept and no other, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const ada = await service.signUp()
    const eve = await service.signUp()
    const { lines } = start(t, { 'expired sessions': sessionSweep(service) }, service)
    for (const count of [1, 500, 1_201]) {
      const swept = () => lines.reduce((sum, { deleted = 0 }) => sum + deleted, 0)
      const before = swept()
      await insertExpired(service, ada.sessionId, count)
      await poll('the sweep', () => swept() === before + count)
      t.strictSame(await remaining(service), [ada.sessionId, eve.sessionId].sort())
    }
  })
}

t.test('a long sweep lets others do their work, and can be stopped', async (t) => {
  const service = await createService(t)
  const { sessionId } = await service.signUp()
  await insertExpired(service, sessionId, 5_000)

  const sweep = sessionSweep(service)
  let batches = 0
  let turns = 0
  const counted = (now: number) => {
    // The others that wait have their turn before the next batch.
    setImmediate(() => turns++)
    t.equal(turns, batches++)
    return sweep(now)
  }
  const { stop } = start(t, { 'expired sessions': counted }, service)
  await poll('four batches', () => new Promise<boolean>((next) => setImmediate(() => next(batches >= 4))))
  await stop()
  t.equal((await remaining(service)).length, 5_001 - batches * 500, '500 in each turn of the event loop')
  t.ok(batches < 10, `it was stopped after ${batches}`)
})

t.test('each of several is swept, also where another one fails', async (t) => {
  const service = await createService(t)
  const { sessionId } = await service.signUp()
  let fails = true
  const sweeps = {
    'what fails': async () => {
      if (fails) throw new Error('a fault')
      return { deleted: 0, full: false }
    },
    'expired sessions': sessionSweep(service),
  }
  const { lines, stop } = start(t, sweeps, service)
  await insertExpired(service, sessionId, 3)
  await poll('the sweep', async () => (await remaining(service)).length === 1)
  await poll('its line', () => lines.find(({ deleted }) => deleted === 3))
  const { level, err } = lines.find(({ msg }) => msg === 'could not sweep what fails') ?? {}
  t.equal(level, pino.levels.values.warn)
  t.equal(err?.message, 'a fault')
  t.equal(lines.find(({ deleted }) => deleted === 3)?.msg, 'swept expired sessions')

  fails = false
  await poll('its recovery', () => lines.find(({ msg }) => msg === 'swept what fails'))
  await stop()
})

t.test('a sweep that fails is tried again', async (t) => {
  const service = await createService(t)
  await sql`drop table sessions`.execute(service.database.db)
  const { lines, stop } = start(t, { 'expired sessions': sessionSweep(service) }, service)
  await poll('two failed sweeps', () => lines.length >= 2)
  await stop()
  for (const { level, msg, err } of lines) {
    t.equal(level, pino.levels.values.warn)
    t.equal(msg, 'could not sweep expired sessions')
    t.ok(err?.message)
  }
})

t.test('sweeping goes on regularly until it is stopped', async (t) => {
  const service = await createService(t)
  const { sessionId } = await service.signUp()
  const { lines, stop } = start(t, { 'expired sessions': sessionSweep(service) }, service)
  for (const round of ['first', 'second']) {
    await insertExpired(service, sessionId, 3)
    await poll(`the ${round} sweep`, async () => (await remaining(service)).length === 1)
  }
  await poll('its lines in the log', () => lines.filter(({ deleted }) => deleted === 3).length === 2)

  await stop()
  const { length } = lines
  await insertExpired(service, sessionId, 3)
  // Many intervals later.
  const later = Date.now() + 50
  await poll('some time', () => Date.now() > later)
  t.equal((await remaining(service)).length, 4)
  t.equal(lines.length, length)
})
