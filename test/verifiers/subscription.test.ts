import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { revoke } from '../../src/revocations/store.ts'
import { endSessions } from '../../src/sessions/store.ts'
import { createRevocations, type Revocations } from '../../src/tokens/revocations.ts'
import { type Feed, type FeedError, subscribe } from '../../src/verifiers/subscription.ts'
import { createVerifier, type Verifier } from '../../src/verifiers/verifier.ts'
import {
  alive,
  answer,
  CREDENTIAL,
  type FeedScript,
  startFeedServer,
  stream,
  token,
  told,
} from '../helpers/feed-server.ts'
import { createServiceAccount } from '../helpers/operators.ts'
import { PROMPTLY, poll } from '../helpers/poll.ts'
import { createService, databases, SECRET, type TestService } from '../helpers/service.ts'

/** Listens, and says where. */
async function listening({ app }: TestService): Promise<string> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** A verifier that follows; it is closed when the test ends. */
function follow(t: Test, { clock }: Pick<TestService, 'clock'>, feed: Feed, maxStaleness?: number): Verifier {
  const parties = { issuer: 'http://localhost:3000', audience: 'latchkey' }
  const verify = createVerifier({ secret: SECRET, ...parties, clock, feed, maxStaleness })
  t.teardown(() => verify.close())
  return verify
}

function codeOf(verify: Verifier, token: string): unknown {
  try {
    verify(token)
    return 'let in'
  } catch (error) {
    return (error as { code?: string }).code
  }
}

const soon = (what: string, check: () => boolean) => poll(what, check)

for (const database of databases) {
  t.test(
    `it knows what was revoked before it came, and hears of the rest at once, on ${database}`,
    async (t) => {
      const service = await createService(t, { database })
      const url = await listening(service)
      const { credential } = await createServiceAccount(service)
      const [before, later, promoted] = [
        await service.signUp(),
        await service.signUp(),
        await service.signUp(),
      ]
      await service.send('POST', '/auth/logout', { token: before.accessToken })

      const verify = follow(t, service, { url, credential })
      t.equal(verify.staleness(), Number.POSITIVE_INFINITY)
      await verify.ready
      // The node that it asks may hear of its own revocation a little later.
      await poll('the refusal', () => codeOf(verify, before.accessToken) === 'token_revoked', PROMPTLY)
      t.equal(codeOf(verify, later.accessToken), 'let in')
      t.ok(verify.staleness() < 5)

      await service.send('POST', '/auth/logout', { token: later.accessToken })
      await poll('the refusal', () => codeOf(verify, later.accessToken) === 'token_revoked', PROMPTLY)

      const change = [{ accountId: promoted.accountId, roles: ['admin', 'user'] }]
      await service.database.db.transaction().execute((tx) => revoke(tx, change, service.clock()))
      await poll('the refusal', () => codeOf(verify, promoted.accessToken) === 'token_stale', PROMPTLY)
    },
  )
}

t.test('more than a page is known whole before it is ready', async (t) => {
  const service = await createService(t)
  const url = await listening(service)
  const { credential } = await createServiceAccount(service)
  const { accessToken, sessionId } = await service.signUp()
  const causes = [...Array.from({ length: 2_500 }, () => ({ sessionId: randomUUID() })), { sessionId }]
  await service.database.db.transaction().execute((tx) => revoke(tx, causes, service.clock()))
  const live = async () => (await service.app.inject('/readyz')).json().revocations.live === causes.length
  await poll('the node to know them', live)
  const verify = follow(t, service, { url, credential })
  await verify.ready
  t.equal(codeOf(verify, accessToken), 'token_revoked')
})

t.test(
  'a stream that ends with its token is followed by another, with a new token and without an error',
  async (t) => {
    const service = await createService(t)
    const url = await listening(service)
    const { credential } = await createServiceAccount(service)
    const errors: FeedError[] = []
    let connected = 0
    const onConnect = () => connected++
    const verify = follow(t, service, { url, credential, onConnect, onError: (error) => errors.push(error) })
    await verify.ready
    service.clock.advance(700_000)
    const { accessToken } = await service.signUp()
    // What happens wakes the stream.
    await service.send('POST', '/auth/logout', { token: accessToken })
    await soon('the next stream', () => connected === 2)
    t.equal(codeOf(verify, accessToken), 'token_revoked')
    t.strictSame(errors, [])
  },
)

t.test('a credential that was ended follows no more, and what is known stays', async (t) => {
  const service = await createService(t)
  const url = await listening(service)
  const { accountId, credential, credentialId } = await createServiceAccount(service)
  const gone = await service.signUp()
  await service.send('POST', '/auth/logout', { token: gone.accessToken })
  const errors: FeedError[] = []
  const verify = follow(t, service, { url, credential, onError: (error) => errors.push(error) }, 3)
  await soon('the refusal', () => codeOf(verify, gone.accessToken) === 'token_revoked')

  await service.database.db
    .transaction()
    .execute((tx) => endSessions(tx, accountId, { only: credentialId }, service.clock()))
  await soon('the error', () => errors.length > 1)
  t.match(errors[0], { name: 'FeedError', message: 'POST /auth/token answered 401 (invalid_credentials)' })
  t.equal(codeOf(verify, gone.accessToken), 'token_revoked')
  const { accessToken } = await service.signUp()
  t.equal(codeOf(verify, accessToken), 'let in')
  await soon('it to be too stale', () => codeOf(verify, accessToken) === 'revocations_stale')
  t.equal(codeOf(verify, gone.accessToken), 'token_revoked')
  t.ok(verify.staleness() > 3)
})

t.test('a credential without the scope is told so', async (t) => {
  const service = await createService(t)
  const url = await listening(service)
  const { credential } = await createServiceAccount(service, { scopes: ['orders:read'] })
  const errors: FeedError[] = []
  const verify = follow(t, service, { url, credential, onError: (error) => errors.push(error) })
  await soon('the error', () => errors.length > 0)
  t.equal(errors[0]?.message, 'POST /auth/token answered 400 (invalid_request)')
  t.equal(verify.staleness(), Number.POSITIVE_INFINITY)
})

t.test(
  'it resumes where it was, and with a cursor of another feed it starts again and keeps what it knows',
  async (t) => {
    const first = await createService(t)
    const other = await createService(t)
    const account = await createServiceAccount(first)
    const { credential } = await createServiceAccount(other)
    const urls = [await listening(first), await listening(other)] as const
    // The same address for both: as where a backup was brought back. Each takes its own credential.
    let at = 0
    const asked: string[] = []
    const send: typeof fetch = (input, init) => {
      const { pathname } = new URL(String(input))
      const headers = new Headers(init?.headers)
      asked.push(`${at} ${pathname} ${headers.has('last-event-id') ? 'from a cursor' : 'from the beginning'}`)
      const taken = [account.credential, credential][at] as string
      const body = init?.method === 'POST' && String(init.body).replace(account.credential, taken)
      return fetch(new URL(pathname, urls[at]), { ...init, ...(body && { body }) })
    }
    const gone = await first.signUp()
    await first.send('POST', '/auth/logout', { token: gone.accessToken })
    const errors: FeedError[] = []
    const onError = (error: FeedError) => errors.push(error)
    const feed = { url: urls[0], credential: account.credential, fetch: send, onError }
    const verify = follow(t, first, feed)
    await soon('the refusal', () => codeOf(verify, gone.accessToken) === 'token_revoked')

    at = 1
    const { accessToken } = await other.signUp()
    await other.send('POST', '/auth/logout', { token: accessToken })
    await first.app.close()
    await soon('the other to be heard', () => codeOf(verify, accessToken) === 'token_revoked')
    t.equal(codeOf(verify, gone.accessToken), 'token_revoked')
    t.match(errors.at(-1)?.message, 'GET /revocations answered 410 (cursor_gone)')
    t.strictSame(
      asked.filter((line) => line.includes('/revocations')),
      [
        '0 /revocations from the beginning',
        '1 /revocations from a cursor',
        '1 /revocations from the beginning',
      ],
    )
  },
)

// What a server may do that is not Latchkey, or is broken.

/** Follows such a server. What was reported is in `errors`. */
async function followScript(
  t: Test,
  script: FeedScript,
  { silence = 1_000, ...more }: { silence?: number } & Partial<Feed> = {},
) {
  const { url, asked } = await startFeedServer(t, script)
  const errors: FeedError[] = []
  const revocations = createRevocations(Date.now)
  const onError = (error: FeedError) => errors.push(error)
  const subscription = subscribe({ url, credential: CREDENTIAL, onError, ...more }, revocations, silence)
  t.teardown(() => subscription.close())
  return { ...subscription, asked, errors, revocations }
}

const FEED = randomUUID()
const expires_at = new Date(Date.now() + 3_600_000).toISOString()
const ended = (sid: string) => ({ sid, expires_at })

function refuses(revocations: Revocations, sid: string, roles = ['user']): boolean {
  try {
    revocations.check({ sub: 'ada', sid, roles, iat: 0 })
    return false
  } catch {
    return true
  }
}

t.test('whatever comes instead of the feed is reported, and tried again until it is right', async (t) => {
  const good = stream([told(`${FEED}.1`, [ended('one')]), alive()])
  const wrongTokens = [
    [answer(500), 'POST /auth/token answered 500 (no code)'],
    [answer(204), 'POST /auth/token answered 204 (no code)'],
    [answer(503, '{"code":"database_unavailable"}'), 'POST /auth/token answered 503 (database_unavailable)'],
    [answer(401, `{"code":"${'x'.repeat(50)}"}`), 'POST /auth/token answered 401 (no code)'],
    [answer(200, '<html>'), "it can't be reached or read (SyntaxError)"],
    [answer(200, ''), "it can't be reached or read (SyntaxError)"],
    [answer(200, 'null'), 'POST /auth/token answered without a token'],
    [answer(200, '{"access_token":7}'), 'POST /auth/token answered without a token'],
    [answer(200, '{"access_token":"a\\nb"}'), "it can't be reached or read (TypeError)"],
    [answer(200, Buffer.alloc(70_000, 'x')), 'an answer is too long'],
  ] as const
  const streamOf = (event: string, data: string, id = `${FEED}.1`) =>
    stream([`id: ${id}\nevent: ${event}\ndata: ${data}\n\n`])
  const wrongEntry = (entry: unknown) => stream([told(`${FEED}.1`, [ended('two'), entry])])
  const wrongStreams = [
    [answer(404), 'GET /revocations answered 404 (no code)'],
    [answer(500, Buffer.alloc(70_000)), 'an answer is too long'],
    [
      answer(200, '{}', 'application/json'),
      'GET /revocations answered with something else than an event stream',
    ],
    [
      ((response) => response.end('x')) satisfies FeedScript['streams'][0],
      'GET /revocations answered with something else than an event stream',
    ],
    [stream([], { end: true }), 'the stream ended before all was told'],
    [stream([told(`${FEED}.1`, [])], { end: true }), 'the stream ended before all was told'],
    [streamOf('revocations', '{"revocations":'), "it can't be reached or read (SyntaxError)"],
    [streamOf('revocations', 'null'), 'an event has no revocations'],
    [streamOf('revocations', '{"revocations":{}}'), 'an event has no revocations'],
    [streamOf('revocations', '{"revocations":[]}', ''), 'an event has no cursor'],
    [streamOf('revocations', '{"revocations":[]}', '1'), 'an event has no cursor'],
    [streamOf('revocations', '{"revocations":[]}', `${FEED}.-1`), 'an event has no cursor'],
    [stream(['event: revocations\ndata: {"revocations":[]}\n\n']), 'an event has no cursor'],
    [wrongEntry(null), 'a revocation has no time'],
    [wrongEntry('x'), 'a revocation has no time'],
    [wrongEntry({ sid: 'x' }), 'a revocation has no time'],
    [wrongEntry({ sid: 'x', expires_at: 1_000 }), 'a revocation has no time'],
    [wrongEntry({ sid: 'x', expires_at: 'soon' }), 'a revocation has no time'],
    ...[
      {},
      { sid: '' },
      { sid: 7 },
      { sub: 'ada' },
      { roles: [] },
      { sub: '', roles: [] },
      { sub: 'ada', roles: 'x' },
      { sub: 'ada', roles: [1] },
    ].map(
      (entry) =>
        [wrongEntry({ ...entry, expires_at }), 'a revocation is neither of a session nor of roles'] as const,
    ),
    ...[null, -1, '1', {}].map((age) => [stream([alive(age)]), 'an event has no age'] as const),
    [streamOf('alive', '{"age":1e400}'), 'an event has no age'],
    [streamOf('alive', 'x'), "it can't be reached or read (SyntaxError)"],
    [
      stream(Array.from({ length: 90 }, () => `data: ${'x'.repeat(60_000)}\n`)),
      "it can't be reached or read (Error)",
    ],
    [stream([Buffer.alloc(6 * 1_024 * 1_024, 'data: ')]), "it can't be reached or read (Error)"],
  ] as const

  t.test('for the token', { jobs: 8 }, async (t) => {
    for (const [wrong, message] of wrongTokens) {
      t.test(message, async (t) => {
        const followed = await followScript(t, { tokens: [wrong, token], streams: [good] })
        await followed.ready
        t.strictSame(
          followed.errors.map((error) => [error.name, error.message]),
          [['FeedError', message]],
        )
        t.ok(refuses(followed.revocations, 'one'))
      })
    }
  })

  t.test('for the stream', { jobs: 8 }, async (t) => {
    for (const [wrong, message] of wrongStreams) {
      t.test(message, async (t) => {
        const followed = await followScript(t, { streams: [wrong, good] })
        await followed.ready
        t.strictSame(
          followed.errors.map((error) => error.message),
          [message],
        )
        t.ok(refuses(followed.revocations, 'one'))
        t.notOk(refuses(followed.revocations, 'two'), 'of an event that is wrong nothing is believed')
      })
    }
  })
})

t.test('what is no event of the feed is passed over', async (t) => {
  const noise = [
    '\uFEFF: a comment\n\n',
    'event: news\ndata: x\n\n',
    'data: x\n\n',
    'nonsense\n\n',
    'retry: 1\n\n',
    'id: \0\n\n',
    Buffer.from([0xff, 0xfe, 0x0a]),
  ]
  const followed = await followScript(t, {
    streams: [stream([...noise, told(`${FEED}.1`, [ended('one')]), alive(1)])],
  })
  await followed.ready
  t.ok(refuses(followed.revocations, 'one'))
  t.ok(followed.revocations.age() >= 1)
  t.strictSame(followed.errors, [])
})

t.test('an event may come in pieces, in the middle of a character', async (t) => {
  const bytes = Buffer.from(told(`${FEED}.1`, [ended('søren')]) + alive())
  const pieces = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
  const followed = await followScript(t, { streams: [stream(pieces)] })
  await followed.ready
  t.ok(refuses(followed.revocations, 'søren'))
})

t.test('a connection on which nothing comes is given up, at each of its steps', async (t) => {
  const silent = () => {}
  const good = stream([alive()])
  for (const script of [
    { tokens: [silent, token], streams: [good] },
    { streams: [silent, good] },
    { streams: [stream([': headers alone\n']), good] },
  ]) {
    const followed = await followScript(t, script, { silence: 200 })
    await followed.ready
    t.strictSame(
      followed.errors.map(({ message }) => message),
      ['nothing was heard for 0.2 s'],
    )
  }
})

t.test('it goes on from the last cursor that came whole', async (t) => {
  const cut = stream(
    [told(`${FEED}.2`, [ended('one'), ended('two')]), alive(), `id: ${FEED}.3\nevent: revoc`],
    { end: true },
  )
  const bad = stream([told(`${FEED}.5`, [ended('five'), {}])])
  const good = stream([told(`${FEED}.3`, [ended('three')]), alive()])
  const followed = await followScript(t, { streams: [cut, bad, good] })
  await soon('all of it', () => refuses(followed.revocations, 'three'))
  t.notOk(refuses(followed.revocations, 'five'))
  t.strictSame(
    followed.asked.filter((line) => line.startsWith('GET')),
    ['GET /revocations', `GET /revocations ${FEED}.2`, `GET /revocations ${FEED}.2`],
  )
})

t.test(
  'of two changes of roles the later one holds, also after a new start with lower numbers',
  async (t) => {
    const now = (roles: string[]) => ({ sub: 'ada', roles, expires_at })
    const before = stream([told(`${FEED}.70`, [now(['user']), now(['admin'])]), alive()], { end: true })
    const gone = answer(410, '{"code":"cursor_gone"}')
    const after = stream([told(`${randomUUID()}.3`, [now(['admin']), now(['user'])]), alive()])
    const followed = await followScript(t, { streams: [before, gone, after] })
    await followed.ready
    t.ok(refuses(followed.revocations, 'any', ['user']))
    await soon('the change', () => !refuses(followed.revocations, 'any', ['user']))
    t.ok(refuses(followed.revocations, 'any', ['admin']))
  },
)

t.test('a credential is sent nowhere but where it was meant to go', async (t) => {
  const other = await startFeedServer(t, { streams: [stream([alive()])] })
  const elsewhere = (status: number, path: string) =>
    ((response) =>
      response.writeHead(status, { location: other.url + path }).end()) satisfies FeedScript['streams'][0]
  const { url, asked } = await startFeedServer(t, { tokens: [elsewhere(307, '/auth/token')], streams: [] })
  const errors: FeedError[] = []
  const onError = (error: FeedError) => errors.push(error)
  const { close } = subscribe({ url, credential: CREDENTIAL, onError }, createRevocations(Date.now))
  await soon('the refusal', () => errors.length > 1)
  await close()
  t.ok(asked.length > 1)
  t.strictSame(other.asked, [])
})

t.test('Latchkey may stand below a path', async (t) => {
  for (const path of ['', '/', '/id/latchkey', '/id/latchkey//']) {
    const server = await startFeedServer(t, { streams: [stream([alive()])] })
    const feed = { url: server.url + path, credential: CREDENTIAL }
    const { ready, close } = subscribe(feed, createRevocations(Date.now))
    await ready
    await close()
    const below = path.replace(/\/+$/, '')
    t.strictSame(server.asked, [`POST ${below}/auth/token`, `GET ${below}/revocations`])
  }
})

t.test('between failures it waits longer and longer', async (t) => {
  const { errors, asked } = await followScript(t, { tokens: [answer(500)], streams: [] })
  const started = performance.now()
  await soon('five failures', () => errors.length >= 5)
  t.ok(performance.now() - started > 700, 'at least half of 100, 200, 400 and 800 ms lie between')
  t.ok(asked.length <= 6)
})

t.test(
  'a server that ends every stream as soon as it is complete is not asked without a pause',
  async (t) => {
    const { asked, errors } = await followScript(t, { streams: [stream([alive()], { end: true })] })
    const started = performance.now()
    await soon('some streams', () => asked.length >= 20)
    t.ok(performance.now() - started > 400, 'at least 50 ms lie between two')
    t.strictSame(errors, [])
  },
)

t.test('who follows holds up no service that stops, and no service is held up by who followed', async (t) => {
  for (const closesFirst of [true, false]) {
    const service = await createService(t)
    const { credential } = await createServiceAccount(service)
    const feed = { url: await listening(service), credential, onError: () => {} }
    const verify = follow(t, service, feed)
    await verify.ready
    const started = performance.now()
    if (closesFirst) await verify.close()
    await service.app.close()
    t.ok(performance.now() - started < 5_000)
  }
})

t.test('closing ends whatever it is doing, and says so to who waits', async (t) => {
  const message = /closed before/
  const doing: [string, FeedScript][] = [
    ['asking for a token', { tokens: [() => {}], streams: [] }],
    ['asking for the stream', { streams: [() => {}] }],
    ['reading', { streams: [stream([': x\n'])] }],
    ['waiting', { tokens: [answer(500)], streams: [] }],
  ]
  for (const [what, script] of doing) {
    const { ready, close, asked, errors } = await followScript(t, script)
    await soon(what, () => asked.length === (script.tokens === undefined ? 2 : 1))
    if (what === 'waiting') await soon('the failure', () => errors.length > 0)
    const before = errors.length
    await close()
    await t.rejects(ready, { message }, what)
    t.equal(errors.length, before, 'to be closed is no error')
    await close()
  }
})

t.test('without anybody who listens the console is told', async (t) => {
  const { warn } = console
  t.teardown(() => {
    console.warn = warn
  })
  const lines: unknown[] = []
  console.warn = (line) => lines.push(line)
  const feed = { url: 'http://127.0.0.1:1', credential: CREDENTIAL }
  const { close } = subscribe(feed, createRevocations(Date.now))
  await soon('the line', () => lines.length > 0)
  await close()
  t.match(lines[0], /^The feed of revocations can't be followed: it can't be reached or read \(.+\)$/)
})
