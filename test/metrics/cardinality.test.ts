import { randomBytes, randomUUID } from 'node:crypto'
import { METHODS } from 'node:http'
import type { HTTPMethods } from 'fastify'
import t from 'tap'
import { parseExposition } from '../helpers/exposition.ts'
import { poll } from '../helpers/poll.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService, PASSWORD, type TestService } from '../helpers/service.ts'

async function scrape({ send }: TestService): Promise<string> {
  const first = (await send('GET', '/metrics')).body
  return poll('a new scrape', async () => {
    const { body } = await send('GET', '/metrics')
    return body !== first && body
  })
}

const routesIn = (text: string) =>
  new Set(
    [...parseExposition(text).values()].flatMap(({ series }) =>
      series.flatMap(({ labels }) => labels.route ?? []),
    ),
  )

t.test('whatever strangers send, there are no more series than there are routes and answers', async (t) => {
  const service = await createService(t, { env: { LOG_LEVEL: 'silent' } })
  const { app } = service
  const hostile = [
    (text: string) => `/${text}`,
    (text: string) => `/account/sessions/${text}`,
    (text: string) => `/me?${text}`,
    (text: string) => `/%${text}`,
    (text: string) => `/auth/login/${text}`,
    (text: string) => `//${text}/../metrics`,
  ]
  for (let batch = 0; batch < 100; batch++) {
    await Promise.all(
      Array.from({ length: 100 }, (_, index) => {
        const text = randomBytes(12).toString(index % 2 === 0 ? 'hex' : 'base64url')
        const path = hostile[index % hostile.length] as (typeof hostile)[number]
        return app.inject({
          method: METHODS[index % METHODS.length] as HTTPMethods,
          url: path(text),
          headers: { [`x-${text}`.toLowerCase()]: text, authorization: `Bearer ${text}`, 'user-agent': text },
        })
      }),
    )
  }
  const text = await scrape(service)
  const series = [...parseExposition(text).values()].flatMap(({ series }) => series)
  t.ok(series.length < 600, `${series.length} series`)
  t.ok(text.length < 100_000, `${text.length} characters`)
  const routes = routesIn(text)
  t.ok(routes.has('unknown'))
  for (const route of routes) {
    t.ok(
      route === 'unknown' || app.hasRoute({ url: route, method: 'GET' }) || /^\/[a-z/:]+$/.test(route),
      route,
    )
  }
  const methods = new Set(series.flatMap(({ labels }) => labels.method ?? []))
  for (const method of methods) t.match(method, /^(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|other)$/)
})

t.test('what is no HTTP is counted as one thing', async (t) => {
  const service = await createService(t)
  await service.app.listen({ port: 0, host: '127.0.0.1' })
  for (const garbage of ['GARBAGE\r\n\r\n', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`]) {
    const connection = connectRaw(t, service.app)
    connection.send(garbage)
    t.ok(parseResponse(await connection.closed()).status >= 400)
  }
  const { series = [] } = parseExposition(await scrape(service)).get('latchkey_problems_total') ?? {}
  t.strictSame(
    series.map(({ labels }) => labels),
    [
      { route: 'unknown', method: 'other', code: 'invalid_request' },
      { route: 'unknown', method: 'other', code: 'headers_too_large' },
    ],
  )
})

t.test('nothing of anybody stands in a scrape', async (t) => {
  const service = await createService(t)
  const { send } = service
  const someone = await service.signUp('ada.lovelace@example.com')
  const requestId = randomUUID()
  await send('GET', '/me', { token: someone.accessToken, headers: { 'x-request-id': requestId } })
  await send('GET', '/account/sessions', { token: someone.accessToken })
  await send('DELETE', `/account/sessions/${someone.sessionId}`, { token: someone.accessToken })
  await send('POST', '/auth/refresh', { body: { refresh_token: someone.refreshToken } })
  await send('POST', '/auth/login', { body: { email: someone.email, password: `not ${PASSWORD}` } })
  const text = await scrape(service)
  for (const secret of [
    ...Object.values(someone),
    requestId,
    PASSWORD,
    '127.0.0.1',
    'lovelace',
    'lkr_',
    'eyJ',
  ]) {
    t.notOk(text.includes(secret), secret)
  }
})
