import { LatchkeyError, type LatchkeyErrorCode, type SignedOutReason } from 'latchkey/client'
import { isTimeout, ServerError } from './latchkey.ts'

/** Why the sign-in view is there, where it isn't for the first time. */
export const reasons: Readonly<Record<SignedOutReason, string>> = {
  log_out: 'You are signed out.',
  other_tab: 'You were signed out in another tab, and so in this one.',
  session_ended: 'Your session has ended. Please sign in again; if you can’t, ask your administrator.',
  account_disabled: 'Your account was disabled, so you were signed out. Ask your administrator about it.',
  account_removed: 'Your account was deleted.',
}

const AWAY = 'The sign-in service (Latchkey) can’t be reached.'

const codes: Partial<Record<LatchkeyErrorCode, string>> = {
  invalid_credentials: 'Email or password is wrong.',
  account_disabled: 'This account is disabled. Ask your administrator about it.',
  email_taken: 'There is an account with this email already. Sign in instead?',
  network_error: AWAY,
  database_unavailable: 'Latchkey can’t reach its database.',
  overloaded: 'Latchkey has too much to do right now.',
  shutting_down: AWAY,
}

/** What went wrong, for whoever sits in front of it. */
export function explain(error: unknown): string {
  if (error instanceof LatchkeyError) {
    if (error.code === 'too_many_attempts')
      return `Too many attempts. Try again ${afterSeconds(error.retryAfter)}.`
    return codes[error.code] ?? error.message
  }
  if (isTimeout(error)) return 'There was no answer in time.'
  if (!(error instanceof ServerError)) return 'Something went wrong in this page.'
  if (error.code === undefined) return 'The revenue server can’t be reached.'
  if (error.code === 'insufficient_scope') return 'Your role doesn’t include this any more.'
  return 'The revenue server could not answer.'
}

/** @param seconds how long to wait, if that is known */
function afterSeconds(seconds: number | undefined): string {
  if (seconds === undefined) return 'in a while'
  const whole = Math.max(1, Math.ceil(seconds))
  return whole < 90 ? `in ${count(whole, 'second')}` : `in ${count(Math.ceil(whole / 60), 'minute')}`
}

export const count = (number: number, thing: string) => `${number} ${thing}${number === 1 ? '' : 's'}`

const whole = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR', maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR', notation: 'compact' })
const percent = new Intl.NumberFormat('en', {
  style: 'percent',
  maximumFractionDigits: 1,
  signDisplay: 'exceptZero',
})
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
const dayOfYear = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' })
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' })
const time = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' })

/** Money, given in cents: €91,204; on an axis €91K. */
export const money = (cents: number) => whole.format(cents / 100)
export const roundMoney = (cents: number) => compact.format(cents / 100)
/** By how much something has changed: +7.4%. */
export const change = (now: number, before: number) => percent.format(now / before - 1).replace('-', '−')
/** Days, given as 2026-12-04: 4 Dec; 4 Dec 2026. */
export const shortDay = (text: string) => day.format(new Date(text))
export const longDay = (text: string) => dayOfYear.format(new Date(text))
/** Moments, by the clock on the wall. */
export const when = (date: Date) => moment.format(date)
export const clock = (date: Date) => time.format(date)
