import type { SignedOutReason } from 'latchkey/client'
import { useCallback, useEffect, useState } from 'react'
import { latchkey } from './latchkey.ts'

/** Who sits in front of the page: not known yet, not to be known now, nobody (and why not any more), or somebody. */
export type Session =
  | { readonly is: 'opening' }
  | { readonly is: 'unknown'; readonly error: unknown }
  | { readonly is: 'out'; readonly reason?: SignedOutReason }
  | { readonly is: 'in'; readonly since: number }

/** Milliseconds. */
const TRY_EVERY = 4_000

/** The session of this page, in step with Latchkey and with the other tabs. @returns it, and what looks for it again */
export function useSession(): [Session, () => Promise<void>] {
  const [session, setSession] = useState<Session>({ is: 'opening' })

  // Whatever happens to the session, here or in another tab, comes by this one way. So signing in is `latchkey.logIn()`.
  useEffect(
    () =>
      latchkey.onChange((event) => {
        if (event.type === 'signed_in') setSession({ is: 'in', since: Date.now() })
        if (event.type === 'signed_out') {
          setSession({ is: 'out', reason: event.reason })
          location.hash = ''
        }
      }),
    [],
  )

  const open = useCallback(async () => {
    try {
      if (!(await latchkey.restore())) setSession({ is: 'out' })
    } catch (error) {
      // Latchkey is away: that says nothing about the session.
      setSession({ is: 'unknown', error })
    }
  }, [])
  useEffect(() => {
    void open()
  }, [open])
  useEffect(() => {
    if (session.is !== 'unknown') return
    const timer = setTimeout(open, TRY_EVERY)
    return () => clearTimeout(timer)
  }, [session, open])

  return [session, open]
}
