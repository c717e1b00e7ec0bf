import { randomUUID } from 'node:crypto'
import type { KyselyPlugin } from 'kysely'
import t from 'tap'
import type { Database } from '../../src/database/open.ts'
import { revoke } from '../../src/revocations/store.ts'
import { goodClaims, goodHeader, handMade } from '../helpers/hand-made-tokens.ts'
import { poll } from '../helpers/poll.ts'
import { createDatabase, createService, databases } from '../helpers/service.ts'

/** The same database, with the text of every query that is sent through it. */
function listened(database: Database): { database: Database; queries: string[] } {
  const queries: string[] = []
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      queries.push(database.db.getExecutor().compileQuery(node, queryId).sql)
      return node
    },
    transformResult: async ({ result }) => result,
  }
  const { db, reserved } = database
  return {
    database: { ...database, db: db.withPlugin(plugin), reserved: reserved.withPlugin(plugin) },
    queries,
  }
}

for (const kind of databases) {
  t.test(`no guarded request asks the database, with revocations in play, on ${kind}`, async (t) => {
    const { database, queries } = listened(await createDatabase(t, kind))
    const service = await createService(t, { database })
    const claims = goodClaims(service.clock())
    const token = (differing: object) => handMade(goodHeader, { ...claims, ...differing })
    const ended = { sid: randomUUID() }
    const demoted = { sub: randomUUID(), sid: randomUUID(), roles: ['admin', 'user'] }
    await database.db
      .transaction()
      .execute((tx) =>
        revoke(tx, [{ sessionId: ended.sid }, { accountId: demoted.sub, roles: ['user'] }], service.clock()),
      )
    const codes = new Map<string, string | undefined>([
      [token({}), undefined],
      [token(ended), 'token_revoked'],
      [token(demoted), 'token_stale'],
      [token({ ...demoted, roles: ['user'] }), undefined],
      [token({ exp: claims.iat - 10, iat: claims.iat - 20 }), 'token_expired'],
      [`${token({})}x`, 'token_invalid'],
    ])
    await poll('the revocations to be known', async () => {
      const reply = await service.send('GET', '/me', { token: token(demoted) })
      return reply.statusCode === 401
    })

    t.ok(queries.length > 3, 'queries are seen')
    queries.length = 0
    for (let round = 0; round < 300; round++) {
      for (const [token, code] of codes) {
        const reply = await service.send('GET', '/me', { token })
        if (reply.json().code !== code) t.fail(`answers ${reply.body} instead of ${code}`)
      }
    }
    const looks = queries.filter((query) => /^select .* from "(revocation_head|revocations)"/.test(query))
    t.strictSame(
      queries.filter((query) => !looks.includes(query)),
      [],
      'in 1,800 requests none but of the follower, which looks at the newest as often as time passes',
    )
    t.ok(looks.length < 200, `it looked ${looks.length} times`)
  })
}
