import type { ChildProcess } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { request } from '../helpers/client.ts'
import { freePort } from '../helpers/free-port.ts'
import {
  type Block,
  blocksOf,
  clone,
  commandsOf,
  run,
  signedIn,
  start,
  testPage,
  writeFiles,
} from '../helpers/pages.ts'
import { poll } from '../helpers/poll.ts'
import { startServer } from '../helpers/process.ts'

const PAGE = 'docs/your-own-service.md'

// The page is one path from the first section to the last.
testPage(t, PAGE, {
  async 'A secret and a credential'(t) {
    const of = (title: string) => blocksOf(PAGE).filter(({ section }) => section === title)
    const server = await startServer(t, { folder: clone(t), env: { JWT_OTHER_AUDIENCES: 'billing' } })
    await run(t, of('A secret and a credential'), { folder: server.folder })
    const folder = join(server.folder, '..', 'billing')

    writeFiles(folder, blocksOf(PAGE), { "url: 'http://localhost:3000'": `url: '${server.url}'` })
    const [express, fastify, web] = [await freePort(), await freePort(), await freePort()]
    for (const [name, port] of Object.entries({ 'express.mjs': express, 'fastify.mjs': fastify })) {
      const file = join(folder, name)
      writeFileSync(file, readFileSync(file, 'utf8').replace('4000', String(port)))
    }
    await serve(t, folder, of('With Express').at(-1) as Block, express)
    await serve(t, folder, of('With Fastify').at(-1) as Block, fastify)
    writeFileSync(join(folder, 'serve-web.mjs'), adapter(web))
    const webBlock = { ...(of('With Express').at(-1) as Block), text: 'node serve-web.mjs' }
    const webService = await serve(t, folder, webBlock, web)

    const replaced = {
      'http://localhost:3000': server.url,
      'http://localhost:4000': `http://localhost:${express}`,
    }
    await run(t, of('Call it'), { folder: server.folder, before: signedIn, replaced })
    const { access_token: token } = JSON.parse(readFileSync(join(server.folder, 'billing.json'), 'utf8'))
    const answers = async (token: string) =>
      Promise.all(
        [express, fastify, web].map(
          async (port) => (await request(`http://localhost:${port}`, '/invoices', { token })).json,
        ),
      )
    await poll('every service to refuse', async () =>
      (await answers(token)).every(({ code }) => code === 'token_revoked'),
    )

    const login = { email: 'ada@example.com', password: 'a long walk by the river', audience: 'billing' }
    const { json } = await request(server.url, '/auth/login', { body: login })
    for (const answer of await answers(String(json.access_token))) t.match(answer, { of: /^[\da-f-]{36}$/ })

    // The secret is replaced at once; the one service that takes part in it goes on, the others let nobody in.
    const leaked = commandsOf('docs/rotation.md', 'A secret that has leaked')
    const derived = commandsOf('docs/rotation.md', 'Services that hold a derived secret')
    await run(t, [], { folder: server.folder, before: leaked + derived })
    copyFileSync(join(server.folder, 'billing-secret'), join(folder, 'billing-secret'))
    process.kill(-Number(webService.pid), 'SIGHUP')
    await poll('the new secret to sign', async () => {
      const { json } = await request(server.url, '/auth/login', { body: login })
      const [first, second, third] = await answers(String(json.access_token))
      return third?.of !== undefined && first?.code === 'token_invalid' && second?.code === 'token_invalid'
    })
  },
})

async function serve(t: Test, folder: string, block: Block, port: number): Promise<ChildProcess> {
  const answers = () =>
    request(`http://localhost:${port}`, '/invoices').then(
      ({ status }) => status === 401,
      () => false,
    )
  return start(t, block, { folder }, answers)
}

// The page's handler of a Request behind Node's own server, as an adapter would put it there.
function adapter(port: number): string {
  return `import { createServer } from 'node:http'
    import handler from './web.mjs'
    import './rotation.mjs'
    createServer(async ({ url, headers }, response) => {
      const reply = handler.fetch(new Request('http://localhost' + url, { headers }))
      response.writeHead(reply.status, Object.fromEntries(reply.headers)).end(await reply.text())
    }).listen(${port})`
}
