import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { poll } from '../helpers/poll.ts'
import { PASSWORD } from '../helpers/service.ts'
import { createTabs, eventsOf, listeningService } from '../helpers/tabs.ts'

/** Another server, that keeps what it is sent. */
async function otherServer(
  t: Test,
  answer: (request: IncomingMessage, reply: ServerResponse, body: string) => void,
) {
  const seen: (string | undefined)[] = []
  const server = createServer((request, reply) => {
    let body = ''
    seen.push(request.headers.authorization)
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => answer(request, reply, body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

async function signedIn(t: Test, audiences: string[] = []) {
  const service = await listeningService(t)
  const tabs = createTabs(t)
  const client = tabs.open({ baseUrl: service.url, audiences })
  await client.signUp({ email: `${randomUUID()}@example.com`, password: PASSWORD })
  return { ...service, tabs, client, events: eventsOf(client) }
}

const refuse = (reply: ServerResponse, code: string) =>
  reply.writeHead(401, { 'content-type': 'application/problem+json' }).end(JSON.stringify({ code }))

t.test('the token goes where it belongs, and nowhere else', async (t) => {
  const hostile = await otherServer(t, (_, reply) => reply.end())
  const own = await otherServer(t, (_, reply) => reply.end('revenue'))
  const { client, url, tabs } = await signedIn(t, [own.url])

  t.equal((await client.fetch(`${url}/me`)).status, 200)
  t.equal((await client.fetch(new URL(`${url}/me?x=1#y`))).status, 200)
  t.equal((await client.fetch(new Request(`${url}/me`))).status, 200)
  t.equal(
    await (await client.fetch(`${own.url}/revenue`, { headers: { authorization: 'x', a: 'b' } })).text(),
    'revenue',
  )
  t.match(own.seen, [/^Bearer ey/])

  const sent = tabs.sent.length
  const host = url.slice('http://'.length)
  for (const address of [
    hostile.url,
    `${hostile.url}/${url}`,
    `http://${host}@127.0.0.1:1/`,
    `http://${host}.example.com/`,
    `http://${host}\\@example.com/`,
    `http://${host}\t.example.com/`,
    `http://${host}\t@example.com/`,
    ` ${hostile.url}`,
    'http:\\\\example.com',
    'http:///example.com',
    'data:text/plain,x',
    `https://${host}/me`,
    `${url}0/me`,
  ]) {
    await t.rejects(client.fetch(address), { code: 'untrusted_origin', status: 0 }, address)
  }
  await t.rejects(client.fetch(new Request(hostile.url)), { code: 'untrusted_origin' })
  await t.rejects(client.fetch('/me'), TypeError, 'here there is no page to which it would be relative')
  t.equal(tabs.sent.length, sent)
  t.strictSame(hostile.seen, [])
})

t.test('a URL may be relative to the page', async (t) => {
  const { client, url } = await signedIn(t)
  const page = globalThis as { location?: unknown }
  t.teardown(() => {
    delete page.location
  })
  page.location = { href: `${url}/page` }
  t.equal((await client.fetch('me')).status, 200)
  page.location = { href: 'https://example.com/' }
  await t.rejects(client.fetch('/me'), { code: 'untrusted_origin' })
})

t.test('a redirect is an error: neither token nor body goes on', async (t) => {
  const hostile = await otherServer(t, (_, reply) => reply.end())
  const own = await otherServer(t, (_, reply) => reply.writeHead(307, { location: hostile.url }).end())
  const { client, tabs } = await signedIn(t, [own.url])
  await t.rejects(client.fetch(own.url, { method: 'POST', body: 'a secret' }), TypeError)
  // As who passes on what it was given writes it.
  const passedOn = { redirect: undefined } as unknown as RequestInit
  await t.rejects(client.fetch(own.url, passedOn), TypeError)
  const redirected = tabs.open({ baseUrl: own.url })
  await t.rejects(redirected.logIn({ email: 'a@example.com', password: PASSWORD }), { code: 'network_error' })
  t.strictSame(hostile.seen, [])
  t.equal((await client.fetch(own.url, { redirect: 'manual' })).status, 307)
})

t.test('a request is sent once more with its body, unless that is gone', async (t) => {
  const bodies: string[] = []
  let code = 'token_expired'
  const own = await otherServer(t, (_, reply, body) => {
    bodies.push(body)
    if (bodies.length % 2 === 1) refuse(reply, code)
    else reply.end('done')
  })
  const { client, tabs } = await signedIn(t, [own.url])
  const post = { method: 'POST', body: 'x' }
  t.equal((await client.fetch(own.url, post)).status, 200)
  t.equal((await client.fetch(new Request(own.url, post))).status, 200)
  t.strictSame(bodies, ['x', 'x', 'x', 'x'])
  t.equal(tabs.count('POST /auth/refresh'), 2)
  t.equal(new Set(own.seen).size, 3)

  const stream = new Blob(['y']).stream()
  const streamed = await client.fetch(own.url, {
    method: 'POST',
    body: stream,
    duplex: 'half',
  } as RequestInit)
  t.equal(streamed.status, 401)
  t.match(await streamed.json(), { code: 'token_expired' }, 'the answer can still be read')
  bodies.push('')
  code = 'insufficient_login'
  t.equal((await client.fetch(own.url)).status, 401, 'another reason is no reason')
})

t.test('a server that refuses every token is not asked for more', async (t) => {
  const own = await otherServer(t, (_, reply) => refuse(reply, 'token_invalid'))
  const { client, tabs } = await signedIn(t, [own.url])
  for (let i = 0; i < 5; i++) t.equal((await client.fetch(own.url)).status, 401)
  t.equal(tabs.count('POST /auth/refresh'), 1)
  t.equal(own.seen.length, 6)
  t.equal(client.isSignedIn, true)
})

t.test('what a server says that is no problem is passed on', async (t) => {
  const own = await otherServer(t, (request, reply) => {
    if (request.url === '/cut') {
      reply.writeHead(401, { 'content-length': '100' }).write('half')
      reply.socket?.end()
    } else reply.writeHead(401).end('<h1>no</h1>')
  })
  const { client, tabs } = await signedIn(t, [own.url])
  t.equal((await client.fetch(own.url)).status, 401)
  const half = await client.fetch(`${own.url}/cut`)
  t.equal(half.status, 401)
  await t.rejects(half.text(), TypeError)
  t.equal(tabs.count('POST /auth/refresh'), 0)
})

t.test('a session that has ended is told by whoever refuses it', async (t) => {
  const { client, url, tabs, events, send } = await signedIn(t)
  await client.me()
  const token = String(tabs.sent.at(-1)?.token).slice('Bearer '.length)
  t.equal((await send('POST', '/auth/logout', { token })).statusCode, 204)
  t.equal((await client.fetch(`${url}/me`)).status, 401)
  await poll('the end', () => events.includes('signed_out: session_ended'))
  t.equal((await client.fetch(`${url}/me`)).status, 401, 'without a token')
  t.equal(tabs.sent.at(-1)?.token, null)
})

t.test('a refusal that cannot be mended now is no end', async (t) => {
  const own = await otherServer(t, (_, reply) => refuse(reply, 'token_stale'))
  const { client, tabs } = await signedIn(t, [own.url])
  tabs.network = async (url, next) =>
    url.endsWith('/auth/refresh') ? new Response(null, { status: 404 }) : next()
  await t.rejects(client.fetch(own.url), { code: 'invalid_response', status: 404 })
  t.equal(client.isSignedIn, true)
})
