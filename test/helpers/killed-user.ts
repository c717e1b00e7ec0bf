import { randomUUID } from 'node:crypto'
import { type Agent, request as httpRequest } from 'node:http'
import argon2 from 'argon2'
import type { Db } from '../../src/database/schema.ts'
import { childToken, hashOf, parseRefreshToken } from '../../src/sessions/refresh-token.ts'
import { isLeftover } from '../../src/sessions/store.ts'
import { keyOf } from '../../src/throttling/store.ts'
import { poll } from './poll.ts'
import { PASSWORD } from './service.ts'

/** A session as its client knows it. What it was not told, or knows to be refused by now, is undefined. */
export interface Held {
  readonly id: string
  readonly access: string | undefined
  readonly refresh: string | undefined
}

/** What an account should be like. */
export interface User {
  readonly id: string | undefined
  readonly email: string
  readonly password: string
  readonly name: string | null
  readonly status: 'active' | 'disabled'
  readonly roles: readonly string[]
  readonly sessions: readonly Held[]
  /** Wrong passwords since the last right one. */
  readonly failures: number
  /** The account of a service that belongs to it, and how many credentials that has. */
  readonly service: string
  readonly credentials: number
  /** What the audit trail should tell of both, sorted. */
  readonly events: readonly string[]
  /** Access tokens of sessions that have ended, and such as carry other roles, unless those come back: mustBeRefused(). */
  readonly refused: readonly string[]
}

export interface Reply {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** One write, and what it makes of the account. */
export interface Step {
  /** Which write path it takes. */
  readonly path: string
  /** The status of success. */
  readonly status: number
  send(url: string, agent: Agent): Promise<Reply | undefined>
  /** The user after it: by the answer, or without one, and then with the session that the database has and nobody knew. */
  after(reply: Reply | undefined, unknown: string | undefined): User
}

export function newUser(service: string, credentials: number, events: readonly string[]): User {
  return {
    id: undefined,
    email: `${randomUUID()}@example.com`,
    password: PASSWORD,
    name: null,
    status: 'active',
    roles: ['user'],
    sessions: [],
    failures: 0,
    refused: [],
    ...{ service, credentials, events },
  }
}

/** Sends until it isn't too much: a node that has just started may have too much to do. @returns the answer */
export function sendInTime(url: string, agent: Agent, asked: { path: string; body: object }): Promise<Reply> {
  return poll(`an answer of ${asked.path}`, async () => {
    const answer = await send(url, agent, asked)
    return answer?.status !== 503 && answer
  })
}

/** @returns the answer; undefined where the connection broke before it came */
export function send(
  url: string,
  agent: Agent,
  { method = 'POST', path, token, body }: { method?: string; path: string; token?: string; body?: object },
): Promise<Reply | undefined> {
  const text = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve) => {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(text !== '' && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    }
    const sent = httpRequest(url + path, { agent, method, headers }, (response) => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', (chunk) => {
        answer += chunk
      })
      response.on('error', () => resolve(undefined))
      response.on('end', () => {
        const whole = response.complete
        resolve(
          whole
            ? { status: response.statusCode ?? 0, body: answer === '' ? {} : JSON.parse(answer) }
            : undefined,
        )
      })
    })
    sent.on('error', () => resolve(undefined))
    sent.end(text)
  })
}

/** Whether an access token that was one of the user's has to be refused everywhere. */
export function mustBeRefused({ sessions, roles }: User, accessToken: string): boolean {
  const claims = claimsOf(accessToken)
  return !sessions.some(({ id }) => id === claims.sid) || claims.roles.join() !== roles.join()
}

/** One of them, or undefined where there is none. */
export function any<Item>(items: readonly Item[]): Item | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

/** The same of an account as the database has it: what a user is compared with. */
export async function storedUser(db: Db, user: User): Promise<Omit<User, 'refused'> | undefined> {
  const account = await db
    .selectFrom('accounts')
    .selectAll()
    .where((q) => (user.id === undefined ? q('email_key', '=', user.email) : q('id', '=', user.id)))
    .executeTakeFirst()
  const ofService = await db
    .selectFrom('sessions')
    .select('id')
    .where('account_id', '=', user.service)
    .execute()
  const serviceEvents = await eventsOf(db, user.service, 'service')
  const credentials = ofService.length
  if (account === undefined)
    return { ...newUser(user.service, credentials, serviceEvents), email: user.email }
  const { id, email, name, status } = account
  const roles = await db.selectFrom('account_roles').select('role').where('account_id', '=', id).execute()
  const rows = await db.selectFrom('sessions').selectAll().where('account_id', '=', id).execute()
  const sessions = rows.filter((row) => !isLeftover(row))
  const attempts = await db
    .selectFrom('attempts')
    .select('failures')
    .where('subject', '=', keyOf('account', email))
    .execute()
  const isPassword = await argon2.verify(account.password_hash, user.password)
  return {
    ...{ id, email, name, status, credentials },
    password: isPassword ? user.password : 'another',
    roles: roles.map(({ role }) => role).sort(),
    sessions: sessions.map((session) => ({ id: session.id, access: undefined, refresh: undefined })),
    failures: attempts.reduce((sum, { failures }) => sum + failures, 0),
    service: user.service,
    events: [...serviceEvents, ...(await eventsOf(db, id, 'user'))].sort(),
  }
}

async function eventsOf(db: Db, subject: string, whose: string): Promise<string[]> {
  const rows = await db.selectFrom('audit_events').select('event').where('subject', '=', subject).execute()
  return rows.map(({ event }) => `${whose} ${event}`)
}

/** What a user and a stored one are compared by. */
export function likeness({ sessions, ...user }: Omit<User, 'refused'>): string {
  const { id: _id, email, password, name, status, roles, failures, credentials, events } = user
  const ids = sessions.map((session) => session.id).sort()
  return JSON.stringify({
    email,
    password,
    name,
    status,
    roles,
    failures,
    credentials,
    events: [...events].sort(),
    ids,
  })
}

/** Whether an account is gone with all that hung on it, and the trail still tells of it what it should. */
export async function isErased(db: Db, id: string, events: readonly string[]): Promise<boolean> {
  const accounts = await db.selectFrom('accounts').select('id').where('id', '=', id).execute()
  const sessions = await db.selectFrom('sessions').select('id').where('account_id', '=', id).execute()
  const told = (await eventsOf(db, id, 'user')).sort()
  return accounts.length + sessions.length === 0 && told.join() === [...events].sort().join()
}

/** Whether the session's row knows the token that its client holds, or the one that follows it. */
export async function hasOneHead(db: Db, { id, refresh }: Held): Promise<boolean> {
  const held = parseRefreshToken(refresh ?? '')
  const row = await db.selectFrom('sessions').selectAll().where('id', '=', id).executeTakeFirst()
  if (held === undefined || row === undefined) return false
  const known = [held, ...(row.rotation_salt === null ? [] : [childToken(held, row.rotation_salt, row)])]
  return known.filter(({ secret }) => hashOf(secret).equals(row.secret_hash)).length === 1
}

export function claimsOf(accessToken: string): { readonly sid: string; readonly roles: readonly string[] } {
  return JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString())
}
