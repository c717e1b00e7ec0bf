import { type BetterAuthOptions, betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import Fastify from 'fastify'
import { AUDIENCE, ISSUER, TTL } from './claims.ts'
import { guardMe, serve, unauthorized } from './fastify.ts'
import type { HeaderSet } from './ready.ts'
import { settings } from './settings.ts'
import { openDatabase } from './sqlite.ts'

type CookieCache = NonNullable<NonNullable<BetterAuthOptions['session']>['cookieCache']>

const account = { email: 'ada@example.com', password: 'a long walk by the river' }

/** Listens with GET /me behind auth.api.getSession(), on SQLite. */
export async function serveBetterAuth(cookieCache: CookieCache): Promise<void> {
  const options = {
    baseURL: `http://127.0.0.1:${settings.port}`,
    secret: settings.secret.toString('base64url'),
    database: openDatabase(),
    emailAndPassword: {
      enabled: true,
      // At the start somebody logs in once for each credential that the runner asks for, which is not measured.
      password: {
        hash: async (password) => password,
        verify: async ({ hash, password }) => hash === password,
      },
    },
    user: { additionalFields: { role: { type: 'string', defaultValue: 'user', input: false } } },
    session: { expiresIn: TTL, disableSessionRefresh: true, cookieCache },
    advanced: { database: { generateId: 'uuid', joins: true } },
    telemetry: { enabled: false },
  } satisfies BetterAuthOptions

  await (await getMigrations(options)).runMigrations()
  const auth = betterAuth(options)
  await auth.api.signUpEmail({ body: { ...account, name: 'Ada Lovelace' } })

  async function logIn(): Promise<HeaderSet> {
    const { headers } = await auth.api.signInEmail({ body: account, asResponse: true })
    const cookies = headers.getSetCookie().map((cookie) => cookie.split(';', 1)[0])
    return { cookie: cookies.join('; ') }
  }
  const headers: HeaderSet[] = []
  for (let n = 0; n < settings.credentials; n++) headers.push(await logIn())

  const app = Fastify()
  guardMe(app, async (request) => {
    const { cookie } = request.headers
    const found =
      cookie === undefined ? null : await auth.api.getSession({ headers: new Headers({ cookie }) })
    if (found === null) throw unauthorized()
    const { user, session } = found
    request.claims = {
      sub: user.id,
      sid: session.id,
      roles: [user.role],
      scope: 'account',
      iss: ISSUER,
      aud: AUDIENCE,
      iat: Math.floor(session.createdAt.getTime() / 1_000),
      exp: Math.floor(session.expiresAt.getTime() / 1_000),
      jti: session.id,
    }
  })
  await serve(app, headers)
}
