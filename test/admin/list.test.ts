import { randomUUID } from 'node:crypto'
import t from 'tap'
import { createServiceAccount, signUpAdmin } from '../helpers/operators.ts'
import { isProblem } from '../helpers/problems.ts'
import { createService, databases, PASSWORD, type TestService } from '../helpers/service.ts'

interface Page {
  readonly accounts: readonly { readonly id: string; readonly email: string | null }[]
  readonly next_cursor: string | null
}

async function list(service: TestService, token: string, query: Record<string, string> = {}): Promise<Page> {
  const reply = await service.send('GET', `/admin/accounts?${new URLSearchParams(query)}`, { token })
  if (reply.statusCode !== 200) throw new Error(`the list answered ${reply.statusCode}: ${reply.body}`)
  return reply.json()
}

for (const database of databases) {
  t.test(`accounts are listed, the newest first, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service, 'Ada@example.com')
    const { accountId: serviceId } = await createServiceAccount(service)
    const grace = await service.signUp('grace@example.com')
    const at = new Date(service.clock()).toISOString()
    const { accounts, next_cursor } = await list(service, admin.accessToken)
    t.equal(next_cursor, null)
    const byId = new Map(accounts.map((account) => [account.id, account]))
    t.strictSame([...byId.keys()], [...byId.keys()].sort().reverse())
    t.equal(byId.size, 3)
    t.strictSame(byId.get(admin.accountId), {
      id: admin.accountId,
      email: 'Ada@example.com',
      name: null,
      roles: ['admin', 'user'],
      status: 'active',
      created_at: at,
      updated_at: at,
      kind: 'person',
    })
    t.match(byId.get(serviceId), { email: null, name: 'billing', roles: [], kind: 'service' })
    t.match(byId.get(grace.accountId), { email: 'grace@example.com', kind: 'person' })
  })

  t.test(`every filter narrows, and all of them together, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accountId: ada, accessToken: token } = await signUpAdmin(service, 'ada@example.com')
    const { accountId: grace } = await signUpAdmin(service, 'grace@example.org')
    const { accountId: alan } = await service.signUp('alan@example.com')
    await service.send('PATCH', `/admin/accounts/${alan}`, {
      token,
      body: { status: 'disabled', name: 'Alan 100%_!\\ Ångström' },
    })
    await service.send('PATCH', `/admin/accounts/${grace}`, { token, body: { status: 'disabled' } })

    const wanted: readonly [query: Record<string, string>, ids: readonly string[]][] = [
      [{ role: 'admin' }, [ada, grace]],
      [{ role: 'user' }, [ada, grace, alan]],
      [{ status: 'active' }, [ada]],
      [{ status: 'disabled' }, [grace, alan]],
      [{ role: 'admin', status: 'disabled' }, [grace]],
      [{ q: 'EXAMPLE.com' }, [ada, alan]],
      [{ q: 'example.com', status: 'disabled' }, [alan]],
      [{ q: 'example', role: 'admin', status: 'active' }, [ada]],
      [{ q: 'ÅNGSTRÖM' }, [alan]],
      [{ q: 'ångström'.normalize('NFD') }, [alan]],
      [{ q: '0%_!\\ å' }, [alan]],
      [{ q: ' alan ' }, [alan]],
      [{ q: grace }, [grace]],
      [{ q: grace.toUpperCase() }, [grace]],
      [{ q: grace, status: 'active' }, []],
      [{ q: grace.slice(1) }, []],
      [{ q: randomUUID() }, []],
      // What LIKE and SQL would read something into is a text like any other.
      [{ q: '%' }, [alan]],
      [{ q: '_' }, [alan]],
      [{ q: '!' }, [alan]],
      [{ q: '\\' }, [alan]],
      [{ q: 'a%a' }, []],
      [{ q: "' or 1=1 --" }, []],
      // Address and name are searched each for itself.
      [{ q: 'com alan' }, []],
    ]
    for (const [query, ids] of wanted) {
      const { accounts } = await list(service, token, query)
      t.strictSame(accounts.map(({ id }) => id).sort(), [...ids].sort(), JSON.stringify(query))
    }
  })

  t.test(`an account is found by what its address and name are now, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service, 'ada@example.com')
    const body = { email: 'grace@bücher.example', password: PASSWORD, name: 'Grace Hopper' }
    const signup = await service.send('POST', '/auth/signup', { body })
    const { account, tokens } = signup.json()
    const finds = async (q: string) => (await list(service, admin.accessToken, { q })).accounts.length === 1

    for (const q of ['grace@', 'bücher', 'HOPPER']) t.ok(await finds(q), q)
    const token = tokens.access_token
    const moved = { email: 'countess@example.org', current_password: PASSWORD }
    await service.send('PATCH', '/account', { token, body: moved })
    t.ok(await finds('countess'))
    t.notOk(await finds('bücher'))
    t.ok(await finds('hopper'), 'a change of the address leaves the name')
    await service.send('PATCH', '/account', { token, body: { name: 'Rear Admiral' } })
    t.ok(await finds('admiral'))
    t.notOk(await finds('hopper'))
    t.ok(await finds('countess'), 'a change of the name leaves the address')
    const renamed = { token: admin.accessToken, body: { name: 'Amazing Grace' } }
    await service.send('PATCH', `/admin/accounts/${account.id}`, renamed)
    t.ok(await finds('amazing'), 'nor does it matter who changes it')
    t.notOk(await finds('admiral'))
    const unnamed = { token: admin.accessToken, body: { name: null } }
    await service.send('PATCH', `/admin/accounts/${account.id}`, unnamed)
    t.notOk(await finds('amazing'))
    t.notOk(await finds('null'))
    t.ok(await finds('countess'))
  })

  t.test(`pages stay in step while accounts come and go, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const admin = await signUpAdmin(service)
    const { accessToken: token } = admin
    const others: string[] = []
    for (let i = 0; i < 9; i++) others.push((await service.signUp()).accountId)
    const expected = [admin.accountId, ...others].sort().reverse()

    for (const filter of [{}, { role: 'user' }, { status: 'active' }, { q: 'example.com' }]) {
      const pages: Page[] = [await list(service, token, { ...filter, limit: '4' })]
      // Who comes is newer than all that is still to be shown.
      const newcomer = await service.signUp()
      for (let cursor = pages[0]?.next_cursor; cursor !== null; ) {
        const page = await list(service, token, { ...filter, limit: '4', cursor: cursor as string })
        pages.push(page)
        cursor = page.next_cursor
      }
      const ids = pages.flatMap(({ accounts }) => accounts.map(({ id }) => id))
      t.strictSame(ids, expected, JSON.stringify(filter))
      t.strictSame(
        pages.map(({ accounts }) => accounts.length),
        [4, 4, 2],
      )
      await service.database.db.deleteFrom('accounts').where('id', '=', newcomer.accountId).execute()
    }

    const first = await list(service, token, { limit: '4' })
    const removed = expected.slice(3, 6)
    await service.database.db.deleteFrom('accounts').where('id', 'in', removed).execute()
    const rest = await list(service, token, { cursor: String(first.next_cursor) })
    t.strictSame(
      rest.accounts.map(({ id }) => id),
      expected.slice(6),
      'also where the account that the cursor names is gone',
    )
  })

  t.test(`a page has as many as are asked for, and the last one says so, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    for (let i = 0; i < 21; i++) await service.signUp()
    const sizes = async (query: Record<string, string>) => {
      const { accounts, next_cursor } = await list(service, token, query)
      return [accounts.length, next_cursor !== null]
    }
    t.strictSame(await sizes({}), [20, true], 'twenty unless something else is asked for')
    t.strictSame(await sizes({ limit: '1' }), [1, true])
    t.strictSame(await sizes({ limit: '21' }), [21, true])
    t.strictSame(await sizes({ limit: '22' }), [22, false], 'exactly all of them is the last page')
    t.strictSame(await sizes({ limit: '100', q: 'example' }), [22, false])
    t.strictSame(await sizes({ q: 'nobody' }), [0, false])
  })

  t.test(`what a filter or a cursor can't be is refused, on ${database}`, async (t) => {
    const service = await createService(t, { database })
    const { accessToken: token } = await signUpAdmin(service)
    await service.signUp()
    const { next_cursor } = await list(service, token, { limit: '1' })
    const cursor = String(next_cursor)
    const refused: readonly [query: string, path: string][] = [
      ['q=', 'q'],
      ['q=%20', 'q'],
      ['q=a%00b', 'q'],
      ['q=a%1bb', 'q'],
      [`q=${'x'.repeat(257)}`, 'q'],
      ['q=a&q=b', 'q'],
      ['role=king', 'role'],
      ['role=', 'role'],
      ['role=__proto__', 'role'],
      ['role=user&role=admin', 'role'],
      ['status=gone', 'status'],
      ['status=', 'status'],
      ...['0', '101', '-1', '1.5', '1e1', '0x10', '', '%201', '٣', 'all'].map((limit): [string, string] => [
        `limit=${limit}`,
        'limit',
      ]),
      ['cursor=', 'cursor'],
      ['cursor=x', 'cursor'],
      [`cursor=${randomUUID()}`, 'cursor'],
      [`cursor=${cursor}A`, 'cursor'],
      [`cursor=${cursor.slice(0, -1)}`, 'cursor'],
      [`cursor=${cursor.replace('_', '-')}`, 'cursor'],
      [`cursor=${cursor}=`, 'cursor'],
      [`cursor=${cursor.slice(0, -1)}.`, 'cursor'],
      [`cursor=${'A'.repeat(65)}`, 'cursor'],
      ['cursor=%00', 'cursor'],
      ['page=2', ''],
    ]
    for (const [query, path] of refused) {
      const reply = await service.send('GET', `/admin/accounts?${query}`, { token })
      isProblem(t, reply, 'invalid_request', [path])
      t.notMatch(reply.body, /king|__proto__|A{65}/, 'and the answer does not repeat it')
    }
    const broken = await service.send('GET', '/admin/accounts?q=%ff%fe', { token })
    t.match(broken.statusCode, /200|400/, 'what is no UTF-8 breaks nothing')
  })
}

t.test('the roles that can be asked for are those that are configured', async (t) => {
  const service = await createService(t, { env: { ROLES: '{"auditor":["audit:read"]}' } })
  const { accessToken: token } = await signUpAdmin(service)
  t.strictSame((await list(service, token, { role: 'auditor' })).accounts, [])
})
