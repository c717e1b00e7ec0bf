import t, { type Test } from 'tap'
import { allEvents } from '../helpers/audit.ts'
import { poll } from '../helpers/poll.ts'
import { connectRaw, parseResponse } from '../helpers/raw-http.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

const EMAIL = 'ada@example.com'
const LONGEST = 256

/** Logs in over a socket, with header fields as they are. @returns the status of the answer */
async function logIn(t: Test, service: TestService, fields: string, password = PASSWORD): Promise<number> {
  const body = JSON.stringify({ email: EMAIL, password })
  const head = ['POST /auth/login HTTP/1.1', 'Host: x', 'Connection: close', 'Content-Type: application/json']
  return poll('a login that is not shed', async () => {
    const connection = connectRaw(t, service.app)
    connection.send(`${head.join('\r\n')}\r\nContent-Length: ${body.length}\r\n${fields}\r\n\r\n${body}`)
    const { status } = parseResponse(await connection.closed())
    // This machine may have too much to do.
    return status !== 503 && status
  })
}

const userAgents = {
  'a control character of C1': '\u009b2Jevil\u0085',
  'bytes of UTF-8': Buffer.from('curl ⚿ 🗝').toString('latin1'),
  'bytes that are no UTF-8': '\xff\xfe\xc3\x28\xed\xa0\x80',
  'a soft hyphen': 'a\u00adb',
  'a tab': 'a\tb',
  markup: `<script>alert(1)</script>'"; drop table audit_events; --`,
  'very long': 'x'.repeat(10_000),
}

for (const database of databases) {
  t.test(`whatever a User-Agent says, a login goes on, and can be shown, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    await service.signUp(EMAIL)
    await service.app.listen({ port: 0 })
    const { db } = service.database
    for (const [what, userAgent] of Object.entries(userAgents)) {
      service.clock.advance(1)
      t.equal(await logIn(t, service, `User-Agent: ${userAgent}`), 200, what)
      t.equal(await logIn(t, service, `User-Agent: ${userAgent}`, 'x'), 401, what)
      for (const { user_agent } of (await allEvents(db)).slice(-2)) {
        t.notMatch(user_agent, /\p{C}/u, `${what} can be shown`)
        t.equal(user_agent?.length, Math.min(userAgent.length, LONGEST))
      }
      const sessions = await db.selectFrom('sessions').select('user_agent').execute()
      t.notMatch(sessions.map(({ user_agent }) => user_agent).join(' '), /\p{C}/u)
    }
    service.clock.advance(1)
    t.equal(await logIn(t, service, 'X-Nothing: x'), 200)
    t.match((await allEvents(db)).slice(-1), [{ user_agent: null }], 'nor where it says nothing')
    t.equal(await logIn(t, service, `User-Agent: ${'x'.repeat(100_000)}`), 431)
    t.equal(await logIn(t, service, 'User-Agent: a\u0000b'), 400)
  })

  t.test(`nor what no socket could bring, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    await service.signUp(EMAIL)
    const longest = `${'x'.repeat(LONGEST - 1)}🗝`
    for (const userAgent of ['a\u0000b', '\ud800', '\udfff\ud800', longest, 'x'.repeat(100_000), '']) {
      service.clock.advance(1)
      for (const [password, status] of [
        [PASSWORD, 200],
        ['x', 401],
      ] as const) {
        const headers = { 'user-agent': userAgent }
        const reply = await service.send('POST', '/auth/login', { body: { email: EMAIL, password }, headers })
        t.equal(reply.statusCode, status, JSON.stringify(userAgent.slice(0, 10)))
      }
      for (const { user_agent } of (await allEvents(service.database.db)).slice(-2)) {
        t.notMatch(user_agent, /\p{C}/u)
        t.ok(user_agent?.isWellFormed())
      }
    }
  })

  t.test(`an X-Request-Id is kept where it is well-formed, else another is, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    await service.signUp(EMAIL)
    const body = { email: EMAIL, password: PASSWORD }
    for (const requestId of ['a\u0000b', 'x'.repeat(65), 'a b', "'; --", '<b>', '\ud800', 'ä', '']) {
      service.clock.advance(1)
      const reply = await service.send('POST', '/auth/login', {
        body,
        headers: { 'x-request-id': requestId },
      })
      t.equal(reply.statusCode, 200)
      const [event] = (await allEvents(service.database.db)).slice(-1)
      t.match(event?.request_id, /^[\da-f]{8}-/)
      t.equal(event?.request_id, reply.headers['x-request-id'])
    }
  })

  t.test(`what a trusted proxy forwards is kept where it is an address, on ${database}`, async (t) => {
    const service = await createService(t, { database, env: { TRUST_PROXY: '127.0.0.1' } })
    await service.signUp(EMAIL)
    const body = { email: EMAIL, password: PASSWORD }
    for (const [forwarded, ip] of [
      ['198.51.100.7', '198.51.100.7'],
      ['2001:DB8:0::1', '2001:db8::1'],
      ['fe80::1%<b>', 'unknown'],
      [`fe80::1%${'x'.repeat(5_000)}`, 'fe80::1'],
      ['FE80::1%a-b.c:d', 'fe80::1'],
      ['a\u0000b', 'unknown'],
      ["' or 1=1 --", 'unknown'],
      ['x'.repeat(10_000), 'unknown'],
      ['\ud800', 'unknown'],
    ] as const) {
      service.clock.advance(1)
      const headers = { 'x-forwarded-for': forwarded }
      for (const password of [PASSWORD, 'x']) {
        const reply = await service.send('POST', '/auth/login', { body: { ...body, password }, headers })
        t.equal(reply.statusCode, password === PASSWORD ? 200 : 401, forwarded.slice(0, 20))
      }
      const events = (await allEvents(service.database.db)).slice(-2)
      t.strictSame(
        events.map((event) => event.ip),
        [ip, ip],
      )
    }
  })
}
