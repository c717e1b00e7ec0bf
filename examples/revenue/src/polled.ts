import { useCallback, useEffect, useRef, useState } from 'react'

/** What was loaded last, and what went wrong since. */
interface Loaded<Value> {
  readonly value?: Value
  /** When it was loaded. */
  readonly at?: Date
  readonly error?: unknown
}

/** Something that is loaded, and loaded again. */
export interface Polled<Value> extends Loaded<Value> {
  readonly isLoading: boolean
  /** Begins anew, so that what it brings is of now. */
  readonly reload: () => Promise<void>
  /** Reloads, unless that goes on already. */
  readonly look: () => void
}

/** Milliseconds: in a good hour, in a bad one, and how long an answer may take. */
const EVERY = 30_000
const AFTER_ERROR = 5_000
const LIMIT = 12_000

/**
 * Loads at once, every 30 s, and whenever the window gets the focus or the network comes back. Each time the access token
 * is looked at, so somebody whose account was disabled is signed out by the next one.
 *
 * @param load the same function as long as it loads the same
 */
export function usePolled<Value>(load: (signal: AbortSignal) => Promise<Value>): Polled<Value> {
  const [loaded, setLoaded] = useState<Loaded<Value>>({})
  const [isLoading, setLoading] = useState(true)
  const flight = useRef<AbortController>(undefined)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)

  const reload = useCallback(async () => {
    flight.current?.abort()
    clearTimeout(timer.current)
    const mine = new AbortController()
    flight.current = mine
    setLoading(true)
    let wait = EVERY
    try {
      const value = await load(AbortSignal.any([mine.signal, AbortSignal.timeout(LIMIT)]))
      if (mine.signal.aborted) return
      setLoaded({ value, at: new Date() })
    } catch (error) {
      if (mine.signal.aborted) return
      setLoaded((before) => ({ ...before, error }))
      wait = AFTER_ERROR
    }
    flight.current = undefined
    setLoading(false)
    timer.current = setTimeout(reload, wait)
  }, [load])

  const look = useCallback(() => {
    if (!flight.current) void reload()
  }, [reload])

  useEffect(() => {
    void reload()
    addEventListener('focus', look)
    addEventListener('online', look)
    return () => {
      removeEventListener('focus', look)
      removeEventListener('online', look)
      flight.current?.abort()
      clearTimeout(timer.current)
    }
  }, [reload, look])

  return { ...loaded, isLoading, reload, look }
}
