import { randomUUID } from 'node:crypto'
import { any, claimsOf, type Held, newUser, type Reply, type Step, send, type User } from './killed-user.ts'

/** Every write that the user's state allows, by whoever may do it. @param admin an operator's access token */
export function stepsOf(user: User, admin: string): readonly Step[] {
  const { id, email, password, sessions, service } = user
  const add = (event: string, subject: 'user' | 'service' = 'user') =>
    [...user.events, `${subject} ${event}`].sort()
  const accessOf = (some: readonly Held[]) =>
    some.flatMap(({ access }) => (access === undefined ? [] : [access]))
  const ending = (some: readonly Held[], also: Partial<User>): User => ({
    ...user,
    sessions: sessions.filter((session) => !some.includes(session)),
    refused: [...user.refused, ...accessOf(some)],
    ...also,
  })
  const opened = (reply: Reply | undefined, unknown: string | undefined, also: Partial<User>): User => {
    const tokens = Object(reply?.body.tokens ?? reply?.body)
    const session = reply === undefined ? unknown : claimsOf(tokens.access_token).sid
    if (session === undefined) return { ...user, ...also }
    const held = { id: session, access: tokens.access_token, refresh: tokens.refresh_token }
    return { ...user, sessions: [...sessions, held], ...also }
  }
  const step = (
    path: string,
    status: number,
    request: Parameters<typeof send>[2],
    after: Step['after'],
  ): Step => ({
    path,
    status,
    send: (url, agent) => send(url, agent, request),
    after,
  })

  if (id === undefined) {
    const body = { email, password }
    const events = add('signup')
    return [
      step('sign-up', 201, { path: '/auth/signup', body }, (reply, unknown) =>
        opened(reply, unknown, { events, id: Object(reply?.body.account).id }),
      ),
    ]
  }

  const target = `/admin/accounts/${id}`
  const operate = (path: string, body: object, after: () => User) =>
    step(path, 200, { method: 'PATCH', path: target, token: admin, body }, after)
  if (user.status === 'disabled') {
    const enabled = () => ({ ...user, status: 'active' as const, events: add('account_enabled') })
    return [operate('enabled', { status: 'active' }, enabled)]
  }

  const otherRoles = user.roles.length === 1 ? ['revocations', 'user'] : ['user']
  const steps = [
    step('credential', 204, { path: `/credentials/${service}` }, () => ({
      ...user,
      credentials: user.credentials + 1,
      events: add('credential_created', 'service'),
    })),
    step('log-in', 200, { path: '/auth/login', body: { email, password } }, (reply, unknown) =>
      opened(reply, unknown, { failures: 0, events: add('login') }),
    ),
  ]
  // It takes two sessions to end some.
  const own = any(sessions.filter(({ access }) => access !== undefined))
  const others = sessions.filter((session) => session !== own)
  if (sessions.length < 2 && Math.random() < 0.5) return steps.slice(1)
  if (own !== undefined && others.length > 0) {
    steps.push(
      operate('disabled', { status: 'disabled' }, () =>
        ending(sessions, { status: 'disabled', events: add('account_disabled') }),
      ),
      operate('roles', { roles: otherRoles }, () => ({
        ...user,
        roles: otherRoles,
        events: add('account_roles_changed'),
        refused: [...user.refused, ...accessOf(sessions)],
        sessions: sessions.map((session) => ({ ...session, access: undefined })),
      })),
      step('signed out', 204, { method: 'DELETE', path: `${target}/sessions`, token: admin }, () =>
        ending(sessions, { events: add('account_signed_out') }),
      ),
    )
  }
  if (user.failures < 3) {
    const body = { email, password: 'not the password of anybody' }
    steps.push(
      step('wrong password', 401, { path: '/auth/login', body }, () => ({
        ...user,
        failures: user.failures + 1,
        events: add('login_failed'),
      })),
    )
  }

  const refreshable = any(sessions.filter(({ refresh }) => refresh !== undefined))
  if (refreshable !== undefined) {
    const body = { refresh_token: refreshable.refresh }
    steps.push(
      step('refresh', 200, { path: '/auth/refresh', body }, (reply) => {
        if (reply === undefined) return user
        const { access_token: access, refresh_token: refresh } = Object(reply.body)
        const renewed = { id: refreshable.id, access, refresh }
        return { ...user, sessions: sessions.map((session) => (session === refreshable ? renewed : session)) }
      }),
    )
  }

  if (own?.access === undefined) return steps
  const { access: token } = own
  const other = any(others)
  const logOut = (path: string, scope: string, ended: readonly Held[]) =>
    step(path, 204, { path: '/auth/logout', token, body: { scope } }, () =>
      ending(ended, scope === 'others' && ended.length === 0 ? {} : { events: add('logout') }),
    )
  const name = randomUUID()
  const newEmail = `${name}@example.com`
  const newPassword = `a long walk to ${name}`
  steps.push(
    logOut('log-out this', 'this', [own]),
    logOut('log-out others', 'others', others),
    logOut('log-out all', 'all', sessions),
    step('name', 200, { method: 'PATCH', path: '/account', token, body: { name } }, () => ({
      ...user,
      name,
    })),
    step(
      'address',
      200,
      { method: 'PATCH', path: '/account', token, body: { email: newEmail, current_password: password } },
      () => ({ ...user, email: newEmail, failures: 0, events: add('email_changed') }),
    ),
    step(
      'password',
      204,
      {
        method: 'PUT',
        path: '/account/password',
        token,
        body: { current_password: password, new_password: newPassword },
      },
      () => ending(others, { password: newPassword, events: add('password_changed') }),
    ),
    step(
      'deletion',
      204,
      { method: 'DELETE', path: '/account', token, body: { current_password: password } },
      () => ({
        ...newUser(
          service,
          user.credentials,
          user.events.filter((event) => event.startsWith('service')),
        ),
        refused: [...user.refused, ...accessOf(sessions)],
      }),
    ),
  )
  if (other !== undefined) {
    steps.push(
      step('session end', 204, { method: 'DELETE', path: `/account/sessions/${other.id}`, token }, () =>
        ending([other], { events: add('session_ended') }),
      ),
    )
  }
  return steps
}
