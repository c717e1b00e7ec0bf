import t, { type Test } from 'tap'
import { startCollector } from '../helpers/otlp.ts'
import { createPostgresDatabase } from '../helpers/postgres.ts'
import { databases, PASSWORD } from '../helpers/service.ts'
import { startTraced } from '../helpers/traced.ts'

async function databaseUrl(t: Test, kind: (typeof databases)[number]): Promise<Record<string, string>> {
  if (kind === 'sqlite') return {}
  const { url, drop } = await createPostgresDatabase()
  t.teardown(drop)
  return { DATABASE_URL: url }
}

for (const database of databases) {
  t.test(`a request is a span, and so is all it asks for, on ${database}`, async (t) => {
    const collector = await startCollector(t)
    const server = await startTraced(t, collector, { env: await databaseUrl(t, database) })
    await server.signUp()
    await server.drained()

    const span = await collector.span('POST /auth/signup')
    t.match(span, { kind: 2, parentSpanId: '', traceId: /^[\da-f]{32}$/, status: 0, links: [], events: 0 })
    t.strictSame(span.attributes, {
      'http.request.method': 'POST',
      'http.route': '/auth/signup',
      'http.response.status_code': 201,
    })

    const below = collector.below(span)
    t.ok(below.every(({ traceId }) => traceId === span.traceId))
    t.ok(below.every(({ start, end }) => end >= start))
    const named = (name: string) => below.filter((span) => span.name === name)
    t.equal(named('argon2 wait').length, 1)
    t.match(named('argon2 hash'), [{ kind: 1, attributes: {} }])
    t.match(named('INSERT accounts'), [
      {
        kind: 3,
        status: 0,
        attributes: {
          'db.system.name': database === 'sqlite' ? 'sqlite' : 'postgresql',
          'db.operation.name': 'INSERT',
          'db.collection.name': 'accounts',
          'db.query.summary': 'INSERT accounts',
          'db.query.text': /^insert into "accounts" \(.*\) values \((\?|\$1), /,
        },
      },
    ])
    const names = below.map(({ name }) => name)
    t.ok(names.includes('SELECT accounts') && names.includes('BEGIN') && names.includes('COMMIT'), `${names}`)
    t.strictSame(
      collector.spans.filter(({ parentSpanId }) => parentSpanId === '').map(({ name }) => name),
      ['POST /auth/signup'],
      'what the service does by itself, such as following the revocations, is no trace',
    )
    t.match(span.resource, {
      'service.name': 'latchkey',
      'service.version': /^\d/,
      'service.instance.id': /^[\da-f-]{36}$/,
    })
  })

  t.test(`no secret, no address and no value leaves with a span, on ${database}`, async (t) => {
    const collector = await startCollector(t)
    const env = await databaseUrl(t, database)
    const server = await startTraced(t, collector, { env })
    const { email, token, refreshToken } = await server.signUp()
    const headers = { 'user-agent': 'canary-agent', 'x-request-id': 'canary-id', 'x-canary': 'canary-header' }
    await server.send('GET', '/account', { token, headers })
    const { sub, sid, jti } = (await (await server.send('GET', '/me', { token })).json()) as Record<
      string,
      string
    >
    await server.send('POST', '/auth/login', { body: { email, password: 'canary password' }, headers })
    const page = { origin: 'http://localhost:3000', 'latchkey-transport': 'cookie' }
    const inCookie = await server.send('POST', '/auth/refresh', {
      body: { transport: 'cookie' },
      headers: { ...page, cookie: `__Host-latchkey=${refreshToken}` },
    })
    t.match(inCookie.headers.get('set-cookie'), /^__Host-latchkey=lkr_/)
    await server.send('POST', '/auth/refresh', { body: { refresh_token: refreshToken } })
    await server.send('GET', `/me?access_token=${token}&canary-query`, {
      headers: { baggage: 'canary=baggage' },
    })
    await server.send('GET', '/canary-path?canary-query', { headers })
    await server.send('DELETE', `/account/sessions/${sid}`, { token })
    await server.drained()

    await collector.span('DELETE /account/sessions/:id')
    const sent = collector.bodies.map((body) => body.toString('latin1')).join('\n')
    t.ok(sent.includes('POST /auth/login'), 'they were looked for in what was sent')
    const payload = token.split('.')[1] as string
    const never = { email, PASSWORD, token, payload, refreshToken, sub, sid, jti, address: '127.0.0.1' }
    for (const [what, value] of Object.entries(never)) {
      t.notOk(sent.includes(String(value)), what)
    }
    t.notMatch(sent, /canary|\$argon2|Bearer|__Host|lkr_/i)
    for (const span of collector.spans) {
      const sql = span.attributes['db.query.text']
      // Numbers that stand in a statement are limits and constants; texts stand nowhere.
      if (sql !== undefined) t.notMatch(sql, /'(?! ')[^']+'|\d{4}/, String(sql))
    }
  })

  t.test(`what breaks is an error by its kind, and no more, on ${database}`, async (t) => {
    const collector = await startCollector(t)
    const env = await databaseUrl(t, database)
    const server = await startTraced(t, collector, { env })
    const { token } = await server.signUp()
    await dropSessions(database, server.folder, env.DATABASE_URL)
    const reply = await server.send('GET', '/account/sessions', { token })
    t.equal(reply.status, 500)
    await server.drained()

    const span = await collector.span('GET /account/sessions')
    t.match(span, { status: 2, statusMessage: '', events: 0 })
    t.match(span.attributes, { 'http.response.status_code': 500, 'error.type': '500' })
    const failed = collector.below(span).filter(({ status }) => status === 2)
    const kind = database === 'sqlite' ? 'ERR_SQLITE_ERROR' : '42P01'
    t.match(failed, [{ name: 'SELECT sessions', statusMessage: '', attributes: { 'error.type': kind } }])

    const line = server.lines().find(({ level }) => level === 50)
    t.match(line, {
      trace_id: span.traceId,
      span_id: span.spanId,
      trace_flags: '01',
      err: { message: /sessions/ },
    })
  })
}

async function dropSessions(kind: (typeof databases)[number], folder: string, url = ''): Promise<void> {
  if (kind === 'sqlite') {
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(`${folder}/data/latchkey.db`)
    database.exec('drop table sessions')
    database.close()
    return
  }
  const { default: pg } = await import('pg')
  const client = new pg.Client(url)
  await client.connect()
  await client.query('drop table sessions cascade')
  await client.end()
}
