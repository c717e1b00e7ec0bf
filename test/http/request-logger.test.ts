import Fastify, { type FastifyBaseLogger } from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { logLazily } from '../../src/http/request-logger.ts'

t.test('what a request logs carries its id, at every level', async (t) => {
  const lines: Record<string, unknown>[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const app = Fastify({ loggerInstance: logger as FastifyBaseLogger, disableRequestLogging: true })
  logLazily(app)
  const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
  app.get('/', async ({ log }) => {
    for (const level of levels) log[level]({ at: level }, 'said')
    log.child({ part: 'child' }).info('said')
    return log.level
  })

  const reply = await app.inject('/')
  t.equal(reply.body, 'trace')
  const said = lines.filter(({ msg }) => msg === 'said')
  t.strictSame(
    said.map(({ at, part }) => at ?? part),
    [...levels.filter((level) => level !== 'silent'), 'child'],
  )
  for (const { reqId } of said) t.equal(reqId, 'req-1')
})
