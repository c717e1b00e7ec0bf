import { useCallback, useEffect, useRef, useState } from 'react'

/** Something that is loaded, and loaded again: what was known last, and what went wrong since. */
export interface Polled<Value> {
  readonly value: Value | undefined
  /** When it was loaded. */
  readonly at: Date | undefined
  readonly error: unknown
  readonly isLoading: boolean
  readonly reload: () => Promise<void>
}

/** Milliseconds: in a good hour, in a bad one, and how long an answer may take. */
const EVERY = 30_000
const AFTER_ERROR = 5_000
const LIMIT = 20_000

/**
 * Loads at once, every 30 s, and whenever the window gets the focus or the network comes back. Each time the access token
 * is looked at, so somebody whose account was disabled is signed out by the next one.
 *
 * @param load the same function as long as it loads the same
 */
export function usePolled<Value>(load: (signal: AbortSignal) => Promise<Value>): Polled<Value> {
  const [state, setState] = useState<Omit<Polled<Value>, 'isLoading' | 'reload'>>({
    value: undefined,
    at: undefined,
    error: undefined,
  })
  const [isLoading, setLoading] = useState(true)
  const current = useRef<AbortController>(undefined)
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)

  const reload = useCallback(async () => {
    current.current?.abort()
    clearTimeout(timer.current)
    const mine = new AbortController()
    current.current = mine
    setLoading(true)
    let wait = EVERY
    try {
      const value = await load(AbortSignal.any([mine.signal, AbortSignal.timeout(LIMIT)]))
      if (mine.signal.aborted) return
      setState({ value, at: new Date(), error: undefined })
    } catch (error) {
      if (mine.signal.aborted) return
      setState((before) => ({ ...before, error }))
      wait = AFTER_ERROR
    }
    current.current = undefined
    setLoading(false)
    timer.current = setTimeout(reload, wait)
  }, [load])

  useEffect(() => {
    const look = () => {
      if (!current.current) void reload()
    }
    void reload()
    addEventListener('focus', look)
    addEventListener('online', look)
    return () => {
      removeEventListener('focus', look)
      removeEventListener('online', look)
      current.current?.abort()
      clearTimeout(timer.current)
    }
  }, [reload])

  return { ...state, isLoading, reload }
}
