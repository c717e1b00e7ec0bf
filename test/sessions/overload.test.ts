import { randomUUID } from 'node:crypto'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { createApp } from '../../src/app.ts'
import { createPasswords } from '../../src/passwords/passwords.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, PASSWORD } from '../helpers/service.ts'

// A hash that takes a while, one at a time: more than a second of them is soon asked for.
const SLOW_ARGON2 = { memoryKib: 65_536, passes: 3, parallelism: 1, concurrency: 1 }

t.test('whoever would wait too long for a hash hears it at once, on every route that hashes', async (t) => {
  const service = await createService(t)
  const { accessToken } = await service.signUp()
  const log: string[] = []
  const app = createApp({
    ...service,
    passwords: await createPasswords(SLOW_ARGON2),
    logger: pino({ level: 'trace' }, { write: (line: string) => log.push(line) }),
  })
  t.teardown(() => app.close())
  // What inject() gives begins when it is awaited.
  const send = async (request: InjectOptions) => app.inject(request)
  const headers = { authorization: `Bearer ${accessToken}` }
  const stranger = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD })
  const logIn = (): InjectOptions => ({ method: 'POST', url: '/auth/login', payload: stranger() })

  const flood: Promise<LightMyRequestResponse>[] = []
  const proof = { current_password: 'not her password' }
  const routes: (() => InjectOptions)[] = [
    logIn,
    () => ({ method: 'POST', url: '/auth/signup', payload: stranger() }),
    () => ({ method: 'PATCH', url: '/account', headers, payload: { ...proof, email: 'ada@example.com' } }),
    () => ({
      method: 'PUT',
      url: '/account/password',
      headers,
      payload: { ...proof, new_password: PASSWORD },
    }),
    () => ({ method: 'DELETE', url: '/account', headers, payload: proof }),
  ]
  for (const request of routes) {
    const asked = Array.from({ length: 20 }, () => send(request()))
    if (request === logIn) flood.push(...asked)
    const refused = (await Promise.all(asked)).find(({ statusCode }) => statusCode === 503)
    if (refused === undefined) throw new Error('nobody was refused')
    isProblem(t, refused, 'overloaded')
    t.equal(refused.headers['retry-after'], '1')
  }

  const me = await app.inject({ url: '/me', headers })
  t.equal(me.statusCode, 200, 'who needs no hash is let in')
  const statuses = (await Promise.all(flood)).map((reply) => reply.statusCode)
  t.ok(statuses.includes(401), 'some of the flood got their turn')
  t.ok(statuses.every((status) => status === 401 || status === 503))
  t.strictSame(
    log.filter((line) => line.includes('overloaded')),
    [],
    'a flood of logins is no flood of lines',
  )
})
